"""How the impairments of a running WAN are changed: requests on a unix socket, answered once they hold."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from lab.errors import WorldError

SOCKET: Final = "wan.sock"
"""The socket's name in the lab's state directory."""

_TIMEOUT_S: Final = 10.0
_OK: Final = "ok"


class Rule(Struct, frozen=True):
    """What happens to the packets from each of some hosts to each of others; the last rule of a pair holds.

    `loss` is the probability that one is lost (1: the hosts are cut off), `delay_ms` comes on top of the
    pair's own delay, `jitter_ms` is up to how much longer a packet may take.
    """

    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    loss: float = 0.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0


class Effect(NamedTuple):
    """What is done to the packets of a pair of devices."""

    loss: float
    delay_s: float
    jitter_s: float


def effects(rules: Sequence[Rule], devices: Mapping[str, int]) -> dict[tuple[int, int], Effect]:
    """The effect on each ordered pair of devices that a rule is about.

    Raises:
        WorldError: when a rule names a host that has no device, or its figures are out of their bounds.
    """
    found = {}
    for rule in rules:
        if not 0 <= rule.loss <= 1 or rule.delay_ms < 0 or rule.jitter_ms < 0:
            raise WorldError("delay and jitter cannot be negative, and loss is between 0 and 1")
        unknown = sorted({*rule.sources, *rule.destinations} - devices.keys())
        if unknown:
            raise WorldError(f"the WAN has no host {', '.join(unknown)}; it has {', '.join(devices)}")
        effect = Effect(rule.loss, rule.delay_ms / 1000, rule.jitter_ms / 1000)
        for source in rule.sources:
            for destination in rule.destinations:
                found[devices[source], devices[destination]] = effect
    return found


def serve(path: Path, apply: Callable[[Sequence[Rule]], None]) -> None:
    """Answers requests in a thread of its own until the process ends.

    Args:
        path: of the socket.
        apply: puts the rules in the place of those before; a WorldError of it is the request's answer.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen()
    threading.Thread(target=_answer_all, args=(listener, apply), name="control", daemon=True).start()


def send(path: Path, rules: Sequence[Rule]) -> None:
    """Puts rules in the place of those before; returns when they hold.

    Raises:
        WorldError: when the WAN refuses them or gives no answer.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_TIMEOUT_S)
            connection.connect(str(path))
            connection.sendall(msgspec.json.encode(rules))
            connection.shutdown(socket.SHUT_WR)
            answer = _read_all(connection).decode()
    except OSError as error:
        raise WorldError(f"the WAN's impairments cannot be changed: {error}") from error
    if answer != _OK:
        raise WorldError(f"the WAN's impairments cannot be changed: {answer or 'it gave no answer'}")


def _answer_all(listener: socket.socket, apply: Callable[[Sequence[Rule]], None]) -> None:
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(_TIMEOUT_S)
            try:
                apply(msgspec.json.decode(_read_all(connection), type=tuple[Rule, ...]))
                answer = _OK
            except (WorldError, msgspec.DecodeError, OSError) as error:
                answer = str(error)
            try:
                connection.sendall(answer.encode())
            except OSError:
                continue


def _read_all(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)
