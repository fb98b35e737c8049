"""What labs are, as their state directories keep it for other commands; and taking one down from there."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from lab import files, locks, world
from lab.errors import LabError, LabInUseError
from lab.hosts import check_root
from lab.topology import Topology

_FILE: Final = "lab.json"


class State(Struct, frozen=True):
    """What a lab is and how it is reached, as its state directory keeps it for other commands.

    `kept` says that it runs on without the process that brought it up.
    """

    name: str
    architecture: str
    title: str
    matrix: str
    data_path: str
    users: int
    started_at: str
    url: str
    ca_file: Path
    tokens_file: Path
    topology: Topology
    kept: bool = False


def write(state: State, directory: Path) -> None:
    """Keeps the state of a lab that came up in its directory."""
    text = msgspec.json.encode(state, enc_hook=str)
    files.write(directory / _FILE, msgspec.json.format(text).decode())


def read(name: str, root: Path) -> State | None:
    """What a lab is and how it is reached, or None when there is none that came up.

    Raises:
        LabError: when what is kept of it is damaged.
    """
    try:
        text = (root.absolute() / name / _FILE).read_bytes()
        return msgspec.json.decode(text, type=State, dec_hook=lambda kind, value: kind(value))
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise LabError(f"the state of the lab {name} is damaged ({error}); take it down") from error


def refuse_if_kept(name: str, root: Path) -> None:
    """Returns unless a lab of that name runs that `isochrone lab up` brought up.

    Raises:
        LabInUseError: when one does; the message says what to do.
    """
    try:
        state = read(name, root)
    except LabError:
        return
    if state is not None and state.kept and world.status(name, root).processes:
        raise LabInUseError(
            f"`isochrone lab up` brought up the lab {name} ({state.architecture}), and it still runs: "
            "take it down with `isochrone lab down`, or choose another name for this one with --name"
        )


def destroy(name: str, root: Path, *, force: bool = False) -> None:
    """Takes a lab down from nothing but its name, however the process that made it ended.

    Args:
        name: the lab's name.
        root: where it keeps its state.
        force: take it from a process that uses it, such as a comparison.

    Raises:
        MachineError: when this process is not root's.
        LabInUseError: when a running process uses it.
        LabError: when something of it cannot be ended or removed.
    """
    check_root()
    with ExitStack() as stack:
        if not force:
            try:
                stack.enter_context(locks.claimed(name, root))
            except LabInUseError:
                raise LabInUseError(
                    f"a command that runs (a comparison, faults, or `lab up`) uses the lab {name}: "
                    "end that one, or take the lab from it with --force"
                ) from None
        stack.enter_context(undisturbed())
        world.destroy(name, root.absolute())


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keeps Ctrl-C and its like from interrupting the cleaning up; a second one would leave things behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in signals]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
