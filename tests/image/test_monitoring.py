"""The private machine that watches the others: it learns from the core whom to scrape, and scrapes them."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from tests.image import cloud, machines, peers, remains, user
from tests.image.guest import GATEWAY, Guest
from tests.image.machines import Host

PAGES = {
    "/targets": json.dumps([{"targets": [f"{GATEWAY}:9100"], "labels": {"role": "core"}}]),
    "/metrics": "isochrone_test_seen 42\n",
}


@pytest.fixture(scope="module")
def core() -> Iterator[None]:
    """A machine that lists the machines of the stack, itself, and tells its figures."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = PAGES[self.path].encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 9100), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


@pytest.fixture(scope="module")
def aws(own_network: None) -> Iterator[cloud.Cloud]:
    with cloud.serving() as running:
        yield running


@pytest.fixture(scope="module")
def machine(aws: cloud.Cloud) -> cloud.Machine:
    stack = cloud.stack("geo-i")
    aws.launch(stack.site.home, GATEWAY, stack="geo-i", role="core")
    return cloud.machine(aws, stack, "monitoring", stack.site.home)


@pytest.fixture(scope="module")
def guest(machine: cloud.Machine, core: None, host: Host) -> Iterator[Guest]:
    with host.booted(machine) as running:
        yield running


def query(guest: Guest, expression: str) -> list[Any]:
    """What Prometheus answers, asked on the machine as through a session's port forwarding."""
    url = f"http://127.0.0.1:9090/api/v1/query?query={urllib.parse.quote(expression)}"
    answer = json.loads(
        guest.run(f"python3 -c 'import urllib.request as u; print(u.urlopen(\"{url}\").read().decode())'")
    )
    return list(answer["data"]["result"])


def test_it_boots_and_can_serve(guest: Guest) -> None:
    assert guest.settled() == "running"
    machines.can_serve(guest)


def test_it_runs_prometheus_and_nothing_else_of_any_role(guest: Guest) -> None:
    assert machines.services(guest) == {"prometheus", "isochrone-targets", *machines.COMPANIONS}
    for port in (user.HTTPS_PORT, machines.HTTP_PORT, machines.REDIS_PORT):
        assert peers.closed(port)


def test_prometheus_is_not_reached_from_outside_but_through_a_session(guest: Guest) -> None:
    assert peers.closed(machines.PROMETHEUS_PORT)
    assert guest.until("it answers", lambda: query(guest, "prometheus_build_info") or None)


def test_it_scrapes_the_machines_that_the_core_lists(guest: Guest) -> None:
    def seen() -> bool | None:
        return any(each["value"][1] == "42" for each in query(guest, "isochrone_test_seen")) or None

    guest.until("a figure of the core is seen", seen)
    assert {each["metric"]["role"] for each in query(guest, "up==1") if "role" in each["metric"]} == {"core"}


def test_its_logs_are_on_cloudwatch_each_line_once(
    guest: Guest, aws: cloud.Cloud, machine: cloud.Machine
) -> None:
    units = (
        "prometheus[",
        "isochrone-health[",
        "isochrone-reporter[",
        "isochrone-boot[",
        "systemd[1] ",
        "kernel ",
    )

    def seen() -> list[machines.Logged] | None:
        events = machines.logged(aws, machine)
        missing = [unit for unit in units if not any(event.text.startswith(unit) for event in events)]
        return None if missing else events

    machines.all_is_logged(guest, guest.until(f"lines of {', '.join(units)}", seen))
    assert machines.figure(guest, "isochrone_reporter_dropped_log_events_total") == 0
    assert machines.figure(guest, "isochrone_reporter_log_failures_total") == 0


def test_its_console_says_that_it_has_no_grafana_and_why_it_has_no_session_manager(guest: Guest) -> None:
    machines.says(guest, "this image has no grafana")
    machines.says(guest, "amazon-ssm-agent.deb.sig cannot be fetched: NoSuchBucket")


def test_no_secret_is_on_the_disk_that_it_leaves_behind(guest: Guest, machine: cloud.Machine) -> None:
    assert remains.left_by(guest, machine.values) == []
