"""What a fault does, as values; `lab.faults.injection` carries them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Place = Literal[
    "far node", "home node", "home machine", "redis master", "redis replica", "sql master", "sql replica"
]
"""Where a fault strikes; `lab.faults.places` finds the machine."""

Manners = Literal["slow readers", "half-open", "garbage"]


@dataclass(frozen=True)
class Kill:
    """SIGKILL to a process and all that it started; a fault that lasts keeps it from being started again.

    `*` are all processes of the machine.
    """

    process: str
    place: Place


@dataclass(frozen=True)
class Stop:
    """SIGSTOP to a process and all that it started; SIGCONT at the end."""

    process: str
    place: Place


@dataclass(frozen=True)
class CutOff:
    """No packet passes between a machine's region and all others."""

    place: Place


@dataclass(frozen=True)
class LoseMaster:
    """The Redis master's machine fails: no packet comes from it or reaches it, and its processes are killed.

    They are started again when it ends.
    """


@dataclass(frozen=True)
class Part:
    """No packet passes between the Redis master's machine and those of its standbys; all others reach all."""


@dataclass(frozen=True)
class Impair:
    """Packets between regions are lost or come late."""

    loss: float = 0.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0


@dataclass(frozen=True)
class FillDisk:
    """The disk that the journal is written to has no room."""


@dataclass(frozen=True)
class SkewClock:
    """A process's clock is so many seconds ahead (negative: behind)."""

    process: str
    place: Place
    ahead_s: float


@dataclass(frozen=True)
class Misbehave:
    """Clients without manners connect beside the load."""

    manners: Manners
    connections: int


Action = Kill | Stop | CutOff | LoseMaster | Part | Impair | FillDisk | SkewClock | Misbehave


@dataclass(frozen=True)
class Fault:
    """A fault and what is expected after it.

    Args:
        name: what it is called in commands and tables.
        what: what happens, for people.
        action: what is done.
        lasts_s: how long it lasts; recovery counts from its end, with 0 from its beginning.
        short: whether it belongs to the suite for every change.
        recover_within_s: how long predictions, clients and processes may take to be back.
        meanwhile: whether users have to be served again while it lasts. It ends soon after they are,
            `lasts_s` is only how long that may take, and recovery counts from its beginning.
    """

    name: str
    what: str
    action: Action
    lasts_s: float = 0.0
    short: bool = False
    recover_within_s: float = 30.0
    meanwhile: bool = False
