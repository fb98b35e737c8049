"""The texts of /proc, from machines of today and of Debian 12."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami.node.reporter import procfs
from ami.node.reporter.procfs import DiskTraffic, ListenerLoad, Mount, Traffic

STAT = """\
cpu  353144 0 38040 899123 1020 0 855 359 0 0
cpu0 159516 0 16981 468859 227 0 322 165 7 8
cpu10 193627 0 21059 430264 793 0 533 194 0 0
intr 4293525 0 0
ctxt 7812823
"""

MEMINFO = """\
MemTotal:       24684084 kB
MemFree:        21391808 kB
MemAvailable:   22843756 kB
HugePages_Total:       0
"""

NET_DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 71495506  188732    0    0    0     0          0         0 71495506  188732    0    0    0     0       0          0
  ens5:405875909   18941    1    2    0     0          0         0   839962    7754    3    4    0     0       0          0
"""  # noqa: E501

SNMP = """\
Icmp: InMsgs InErrors
Icmp: 1 0
Tcp: RtoAlgorithm MaxConn CurrEstab RetransSegs
Tcp: 1 -1 20000 13
"""

SOCKSTAT = """\
sockets: used 15
TCP: inuse 1 orphan 2 tw 3 alloc 4 mem 5
FRAG: inuse 0 memory 0
"""

SOFTNET = """\
00113083 00000002 00000000 00000000 00000000 00000000
00138041 00000010 00000000 00000000 00000000 00000000
"""

DISKSTATS = """\
   7       0 loop0 1 0 8 0 0 0 0 0 0 0 0 0 0 0 0 0 0
 259       0 nvme0n1 185475 37371 8276946 33683 185180 81291 9638480 33114 0 21864 71627 40082 69 1 2 5 2
 259       1 nvme0n1p1 185475 37371 8276946 33683 185180 81291 9638480 33114 0 21864 71627 0 0 0 0 0 0
 202      80 xvdf 1 0 2 0 3 0 4 0 0 5 6
 253       0 zram0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
"""

MOUNTS = """\
/dev/nvme0n1p1 / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
/dev/nvme1n1 /var/lib/with\\040space xfs rw 0 0
"""

LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max processes             96394                96394                processes
Max open files            {}                20000                files
"""

UNIX = """\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 16 /run/market/.api-0.sock.77
0000000000000000: 00000003 00000000 00000000 0001 03 17 /run/market/.api-0.sock.77
0000000000000000: 00000003 00000000 00000000 0001 03 18 /run/market/.api-0.sock.77
0000000000000000: 00000002 00000000 00000000 0001 02 0 /run/market/.api-0.sock.77
0000000000000000: 00000003 00000000 00000000 0001 03 19
0000000000000000: 00000003 00000000 00000000 0001 03 20 /run/market/.api-1.sock.78
0000000000000000: 00000003 00000000 00000000 0002 03 21 /run/market/.api-1.sock.78
0000000000000000: 00000003 00000000 00000000 0001 03 22 /run/market/other file
"""


def test_cores() -> None:
    cores = procfs.cpu_ticks(STAT)
    assert list(cores) == ["0", "10"]
    assert cores["0"] == {
        "user": 159516,
        "nice": 0,
        "system": 16981,
        "idle": 468859,
        "iowait": 227,
        "irq": 0,
        "softirq": 322,
        "steal": 165,
    }


def test_memory() -> None:
    sizes = procfs.memory_bytes(MEMINFO)
    assert sizes["MemAvailable"] == 22843756 * 1024
    assert "HugePages_Total" not in sizes


def test_interfaces_but_for_the_loopback() -> None:
    assert procfs.interfaces(NET_DEV) == {"ens5": Traffic(405875909, 18941, 2, 839962, 7754, 4)}


def test_counters() -> None:
    counters = procfs.counters(SNMP)
    assert counters["Tcp.RetransSegs"] == 13
    assert counters["Tcp.MaxConn"] == -1
    assert counters["Icmp.InMsgs"] == 1


NAMES = st.from_regex(r"[A-Z][A-Za-z0-9]{0,20}", fullmatch=True)


@given(st.dictionaries(NAMES, st.dictionaries(NAMES, st.integers(-(1 << 63), (1 << 64) - 1))))
def test_every_counter_of_every_group_is_read(groups: dict[str, dict[str, int]]) -> None:
    text = "".join(
        f"{group}: {' '.join(values)}\n{group}: {' '.join(map(str, values.values()))}\n"
        for group, values in groups.items()
    )
    expected = {f"{group}.{name}": v for group, values in groups.items() for name, v in values.items()}
    assert procfs.counters(text) == expected


def test_sockets() -> None:
    assert procfs.socket_counts(SOCKSTAT) == {
        "sockets.used": 15,
        "TCP.inuse": 1,
        "TCP.orphan": 2,
        "TCP.tw": 3,
        "TCP.alloc": 4,
        "TCP.mem": 5,
        "FRAG.inuse": 0,
        "FRAG.memory": 0,
    }


def test_drops_of_the_input_queues_are_hexadecimal() -> None:
    assert procfs.input_drops(SOFTNET) == 0x12


def test_whole_disks_only() -> None:
    assert procfs.disks(DISKSTATS) == {
        "nvme0n1": DiskTraffic(8276946 * 512, 9638480 * 512, 185475, 185180, 21864),
        "xvdf": DiskTraffic(2 * 512, 4 * 512, 1, 3, 5),
    }


def test_mounts() -> None:
    assert procfs.mounts(MOUNTS) == (
        Mount("/dev/nvme0n1p1", "/", "ext4"),
        Mount("proc", "/proc", "proc"),
        Mount("/dev/nvme1n1", "/var/lib/with space", "xfs"),
    )


def test_open_files() -> None:
    assert procfs.open_files("9120\t0\t1655360\n") == (9120, 1655360)


@pytest.mark.parametrize(("soft", "limit"), [("1024", 1024), ("unlimited", None)])
def test_descriptor_limit_is_the_soft_one(soft: str, limit: int | None) -> None:
    assert procfs.descriptor_limit(LIMITS.format(soft)) == limit


def test_load_of_listeners() -> None:
    loads = procfs.listener_loads(
        UNIX.splitlines(keepends=True),
        {
            "/run/market/.api-0.sock.77": "api-0",
            "/run/market/api-0.sock": "api-0",
            "/run/market/.api-1.sock.78": "api-1",
            "/run/market/api-2.sock": "api-2",
        },
    )
    assert loads == {"api-0": ListenerLoad(2, 1), "api-1": ListenerLoad(1, 0), "api-2": ListenerLoad(0, 0)}


@pytest.mark.parametrize(
    "call",
    [
        lambda: procfs.cpu_ticks(""),
        lambda: procfs.interfaces("a\nb\n eth0: 1 2\n"),
        lambda: procfs.counters("Tcp: A B\nTcp: 1\n"),
        lambda: procfs.counters("Tcp: A\nUdp: 1\n"),
        lambda: procfs.counters("Tcp: A\n"),
        lambda: procfs.open_files("1 2"),
        lambda: procfs.descriptor_limit("Max processes 1 1 processes\n"),
    ],
)
def test_other_text_is_refused(call: object) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=r"."):
        call()


@pytest.mark.parametrize(
    ("path", "parse"),
    [
        ("stat", procfs.cpu_ticks),
        ("meminfo", procfs.memory_bytes),
        ("net/netstat", procfs.counters),
        ("net/snmp", procfs.counters),
        ("net/sockstat", procfs.socket_counts),
        ("diskstats", procfs.disks),
        ("self/mounts", procfs.mounts),
        ("sys/fs/file-nr", procfs.open_files),
        ("self/limits", procfs.descriptor_limit),
    ],
)
def test_the_running_kernel_is_understood(path: str, parse: object) -> None:
    assert callable(parse)
    assert parse(Path("/proc", path).read_text())


def test_a_connection_waits_until_it_is_accepted(tmp_path: Path) -> None:
    path = str(tmp_path / "a.sock")

    def load() -> ListenerLoad:
        with Path("/proc/net/unix").open() as lines:
            return procfs.listener_loads(lines, {path: "a"})["a"]

    with (
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX) as client,
    ):
        listener.bind(path)
        listener.listen()
        assert load() == ListenerLoad(0, 0)
        client.connect(path)
        assert load() == ListenerLoad(0, 1)
        with listener.accept()[0]:
            assert load() == ListenerLoad(1, 0)
    assert load() == ListenerLoad(0, 0)
