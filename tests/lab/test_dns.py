from __future__ import annotations

import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from dnslib import QTYPE, RCODE, DNSHeader, DNSQuestion, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from lab.dns import Zone
from lab.world import Host, World
from tests.lab.worlds import inside, lab_name

RECORDS = {
    "play.example.test": ["198.18.1.10"],
    "eu-west-1.play.example.test": ["198.18.4.10", "198.18.4.11"],
}
ZONE = Zone(RECORDS, ttl_s=60)


def ask(name: str, kind: str = "A") -> DNSRecord:
    answer = ZONE.answer(DNSRecord.question(name, kind).pack())
    assert answer is not None
    return DNSRecord.parse(answer)


def test_a_name_has_its_addresses_for_as_long_as_the_record_says() -> None:
    reply = ask("eu-west-1.play.example.test")
    assert [(str(rr.rdata), rr.ttl) for rr in reply.rr] == [("198.18.4.10", 60), ("198.18.4.11", 60)]
    assert (reply.header.rcode, reply.header.aa) == (RCODE.NOERROR, 1)


def test_names_are_found_in_whatever_case_they_are_written() -> None:
    assert [str(rr.rdata) for rr in ask("PLAY.Example.TEST.").rr] == ["198.18.1.10"]


@pytest.mark.parametrize("kind", ["AAAA", "TXT", "MX", "HTTPS"])
def test_a_name_has_no_records_of_another_type(kind: str) -> None:
    reply = ask("play.example.test", kind)
    assert (reply.header.rcode, reply.rr) == (RCODE.NOERROR, [])


@pytest.mark.parametrize("name", ["nothing.example.test", "a.b.play.example.test"])
def test_another_name_below_the_domain_does_not_exist(name: str) -> None:
    assert ask(name).header.rcode == RCODE.NXDOMAIN


@pytest.mark.parametrize("name", ["example.com", "test", "badexample.test", "1.1.18.198.in-addr.arpa", "."])
def test_names_of_others_are_refused(name: str) -> None:
    assert ask(name).header.rcode == RCODE.REFUSED


def test_two_questions_at_once_are_not_implemented() -> None:
    query = DNSRecord(q=DNSQuestion("play.example.test"))
    query.add_question(DNSQuestion("play.example.test", QTYPE.AAAA))
    assert DNSRecord.parse(ZONE.answer(query.pack())).header.rcode == RCODE.NOTIMP


def test_an_answer_that_does_not_fit_is_marked_as_truncated() -> None:
    many = Zone({"play.example.test": [f"198.18.1.{i}" for i in range(1, 101)]}, ttl_s=60)
    query = DNSRecord.question("play.example.test").pack()
    cut = many.answer(query, most=512)
    assert cut is not None
    assert len(cut) <= 512
    assert DNSRecord.parse(cut).header.tc == 1
    assert len(DNSRecord.parse(many.answer(query)).rr) == 100


def test_answers_are_not_answered_so_that_two_servers_cannot_talk_for_ever() -> None:
    assert ZONE.answer(DNSRecord(DNSHeader(qr=1), q=DNSQuestion("play.example.test")).pack()) is None


@given(st.binary(max_size=600))
def test_whatever_comes_is_answered_with_its_own_number_or_not_at_all(message: bytes) -> None:
    answer = ZONE.answer(message)
    assert answer is None or answer[:2] == message[:2]


@given(st.binary(max_size=64), st.integers(0, 60))
def test_a_damaged_question_does_not_end_the_server(damage: bytes, where: int) -> None:
    query = DNSRecord.question("eu-west-1.play.example.test").pack()
    ZONE.answer(query[:where] + damage + query[where + len(damage) :])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Users in two regions, who are sent to different nodes."""
    hosts = [Host("users-near", "near", "198.18.1.1"), Host("users-far", "far", "198.18.2.1")]
    rtt_ms = {(a, b): 10.0 for a in ("near", "far") for b in ("near", "far")}
    records = {
        "near": {"play.example.test": ["198.18.1.10"]},
        "far": {"play.example.test": ["198.18.2.10"], "far.play.example.test": ["198.18.2.10"]},
    }
    with World.create(lab_name(), tmp_path_factory.mktemp("dns"), hosts, rtt_ms, records=records) as made:
        yield made


def resolve(world: World, host: str, name: str) -> list[str]:
    """What the C library on that host makes of the name."""
    argv = world.argv(host, ["getent", "ahosts", name])
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    return sorted({line.split()[0] for line in done.stdout.splitlines()})


def test_each_region_is_sent_to_its_own_node(world: World) -> None:
    assert resolve(world, "users-near", "play.example.test") == ["198.18.1.10"]
    assert resolve(world, "users-far", "play.example.test") == ["198.18.2.10"]
    assert resolve(world, "users-far", "far.play.example.test") == ["198.18.2.10"]


def test_what_a_region_has_no_record_of_does_not_resolve_there(world: World) -> None:
    assert resolve(world, "users-near", "far.play.example.test") == []
    assert resolve(world, "users-near", "example.com") == []


def test_answers_over_tcp_and_survives_what_is_not_a_question(world: World) -> None:
    with inside(world, "users-far", socket.SOCK_STREAM) as client:
        client.settimeout(5)
        client.connect(("127.0.0.53", 53))
        client.sendall(b"\x00\x03abc")
        assert client.recv(10) == b""
    with inside(world, "users-far", socket.SOCK_DGRAM) as client:
        for size in range(0, 40, 3):
            client.sendto(bytes(size), ("127.0.0.53", 53))
    with inside(world, "users-far", socket.SOCK_STREAM) as client:
        client.settimeout(5)
        client.connect(("127.0.0.53", 53))
        query = DNSRecord.question("play.example.test").pack()
        client.sendall(struct.pack("!H", len(query)) + query)
        reply = DNSRecord.parse(client.recv(2000)[2:])
    assert [str(rr.rdata) for rr in reply.rr] == ["198.18.2.10"]


def test_the_hosts_files_are_those_of_the_world_only_there(world: World) -> None:
    seen = subprocess.run(
        world.argv("users-near", ["cat", "/etc/resolv.conf"]), capture_output=True, text=True, check=True
    )
    assert "127.0.0.53" in seen.stdout
    assert "options timeout:1 attempts:2" in seen.stdout
    assert seen.stdout != Path("/etc/resolv.conf").read_text()
