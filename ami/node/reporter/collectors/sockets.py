"""TCP: sockets by state, and what the kernel counts of refusals, repetitions and timeouts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ami.node.reporter import procfs, tcp_states
from ami.node.reporter.figures import Figure, Metric

SOCKETS: Final = Metric("isochrone_tcp_sockets", "gauge", "TCP sockets by state", ("state",))
ORPHANS: Final = Metric("isochrone_tcp_orphans", "gauge", "TCP sockets that no process has any more")
TCP_MEMORY: Final = Metric(
    "isochrone_tcp_memory_pages", "gauge", "memory of all TCP sockets, which net.ipv4.tcp_mem limits"
)
ALL_SOCKETS: Final = Metric("isochrone_sockets", "gauge", "sockets of all kinds")
LISTEN_OVERFLOWS: Final = Metric(
    "isochrone_tcp_listen_overflows_total", "counter", "connections refused since an accept queue was full"
)


def _counter(name: str, meaning: str) -> Metric:
    return Metric(f"isochrone_tcp_{name}_total", "counter", meaning)


COUNTERS: Final[Mapping[str, Metric]] = {
    "TcpExt.ListenOverflows": LISTEN_OVERFLOWS,
    "TcpExt.ListenDrops": _counter(
        "listen_drops", "connections that a listener dropped for any reason, overflows among them"
    ),
    "TcpExt.SyncookiesSent": _counter("syn_cookies_sent", "SYN cookies sent"),
    "TcpExt.SyncookiesRecv": _counter("syn_cookies_received", "SYN cookies that came back"),
    "TcpExt.SyncookiesFailed": _counter("syn_cookies_failed", "SYN cookies that came back wrong"),
    "TcpExt.TCPReqQFullDrop": _counter(
        "syn_queue_drops", "half-open connections dropped since their queue was full"
    ),
    "TcpExt.TCPReqQFullDoCookies": _counter(
        "syn_queue_cookies", "half-open connections answered with a cookie since their queue was full"
    ),
    "TcpExt.TCPTimeouts": _counter("timeouts", "retransmission timers that ran out"),
    "TcpExt.TCPAbortOnTimeout": _counter("timeout_aborts", "connections given up after retransmissions"),
    "TcpExt.TCPLostRetransmit": _counter("lost_retransmits", "retransmitted segments that were lost again"),
    "TcpExt.TCPBacklogDrop": _counter("backlog_drops", "segments dropped since a socket's backlog was full"),
    "TcpExt.TCPAbortOnMemory": _counter("memory_aborts", "connections given up for want of TCP memory"),
    "TcpExt.TCPMemoryPressures": _counter("memory_pressures", "times that TCP came under memory pressure"),
    "Tcp.RetransSegs": _counter("retransmits", "segments sent again"),
    "Tcp.InSegs": _counter("segments_received", "segments received"),
    "Tcp.OutSegs": _counter("segments_sent", "segments sent, without repetitions"),
    "Tcp.InErrs": _counter("segments_bad", "bad segments received"),
    "Tcp.OutRsts": _counter("resets_sent", "resets sent"),
    "Tcp.ActiveOpens": _counter("active_opens", "connections begun from here"),
    "Tcp.PassiveOpens": _counter("passive_opens", "connections begun by others"),
    "Tcp.AttemptFails": _counter("failed_attempts", "connections that did not come about"),
    "Tcp.EstabResets": _counter("established_resets", "established connections that were reset"),
}
"""By their names in /proc/net/netstat and /proc/net/snmp; one that the kernel does not have is absent."""


@dataclass(frozen=True)
class Sockets:
    """What the kernel counts of TCP, and sockets by state.

    Args:
        proc: where /proc is.
        ask: how many sockets are in the states that the kernel does not count by itself.
    """

    proc: Path = Path("/proc")
    ask: Callable[[], Mapping[str, int]] = tcp_states.ask
    name: str = "tcp"

    def collect(self) -> Iterator[Figure]:
        """See `Collector`."""
        net = self.proc / "net"
        counters = procfs.counters((net / "netstat").read_text()) | procfs.counters(
            (net / "snmp").read_text()
        )
        for name, metric in COUNTERS.items():
            if name in counters:
                yield Figure(metric, counters[name])
        sockets = procfs.socket_counts((net / "sockstat").read_text())
        yield Figure(ALL_SOCKETS, sockets["sockets.used"])
        yield Figure(ORPHANS, sockets["TCP.orphan"])
        yield Figure(TCP_MEMORY, sockets["TCP.mem"])
        states = tcp_states.tcp_states(self.ask(), counters["Tcp.CurrEstab"], sockets["TCP.tw"])
        for state, count in states.items():
            yield Figure(SOCKETS, count, (state,))
