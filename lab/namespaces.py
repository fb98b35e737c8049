"""Network namespaces: made and removed by `ip netns`, entered by thread, tuned as the machine image is."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from lab.errors import WorldError

DIRECTORY: Final = Path("/run/netns")
"""Where `ip netns` keeps the named namespaces."""

CONFIGURATION: Final = Path("/etc/netns")
"""Where `ip netns exec` finds the files that it puts over those of /etc."""

SETTINGS: Final[Mapping[str, str]] = {
    "core/somaxconn": "16384",
    "ipv4/ip_local_port_range": "1025 65535",
    "ipv4/tcp_fin_timeout": "5",
    "ipv4/tcp_max_syn_backlog": "65536",
    "ipv4/tcp_retries2": "8",
    "ipv4/tcp_rmem": "8192 873700 8388608",
    "ipv4/tcp_slow_start_after_idle": "0",
    "ipv4/tcp_syn_retries": "2",
    "ipv4/tcp_synack_retries": "2",
    "ipv4/tcp_tw_reuse": "1",
    "ipv4/tcp_wmem": "4096 655360 8388608",
    "ipv6/conf/default/disable_ipv6": "1",
}
"""The kernel settings of the image that a namespace has for itself, below /proc/sys/net.

IPv6 is off on devices that come later, so that no router solicitation enters the WAN.
"""

_CLONE_NEWNET: Final = 0x40000000
_IP_TIMEOUT_S: Final = 30.0

_libc = ctypes.CDLL(None, use_errno=True)


def existing(prefix: str) -> list[str]:
    """The names of the namespaces that begin with `prefix`, sorted."""
    if not DIRECTORY.is_dir():
        return []
    return sorted(path.name for path in DIRECTORY.iterdir() if path.name.startswith(prefix))


def add(names: Iterable[str]) -> None:
    """Makes the namespaces.

    Raises:
        WorldError: when one cannot be made, for instance because it exists.
    """
    _batch([f"netns add {name}" for name in names], keep_going=False)


def remove(names: Iterable[str]) -> None:
    """Removes the namespaces' names; a namespace goes when its last process has ended.

    Raises:
        WorldError: when one is still there afterwards.
    """
    doomed = list(names)
    _batch([f"netns delete {name}" for name in doomed], keep_going=True)
    left = [name for name in doomed if (DIRECTORY / name).exists()]
    if left:
        raise WorldError(f"cannot remove the namespaces {', '.join(left)}; try `ip netns delete` by hand")


def configure(name: str, files: Mapping[str, str]) -> None:
    """Writes the files (name and text) that processes in the namespace see in /etc."""
    directory = CONFIGURATION / name
    directory.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (directory / file).write_text(text, encoding="utf-8")


@contextmanager
def entered(name: str) -> Iterator[None]:
    """Puts the calling thread into the namespace, and back; sockets and devices opened inside stay there.

    Raises:
        WorldError: when there is no such namespace, or the process may not enter it.
    """
    with ExitStack() as stack:
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        stack.callback(os.close, home)
        try:
            there = os.open(DIRECTORY / name, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise WorldError(f"there is no namespace {name}: {error.strerror}") from error
        stack.callback(os.close, there)
        _set(there, name)
        try:
            yield
        finally:
            _set(home, "of the process")


def tune(settings: Mapping[str, str] = SETTINGS) -> None:
    """Sets the kernel settings of the namespace that the thread is in, as far as the kernel has them."""
    for key, value in settings.items():
        with suppress(OSError):
            Path("/proc/sys/net", key).write_text(value, encoding="ascii")


def processes(names: Iterable[str]) -> dict[int, str]:
    """The processes in the namespaces: namespace by process id, from one pass over /proc."""
    identities = {}
    for name in names:
        with suppress(FileNotFoundError):
            status = (DIRECTORY / name).stat()
            identities[status.st_dev, status.st_ino] = name
    return dict(_inhabitants(identities))


@contextmanager
def held(names: Iterable[str]) -> Iterator[Mapping[tuple[int, int], str]]:
    """Keeps the namespaces' identities from being used anew; yields name by identity for `inhabitants`."""
    with ExitStack() as stack:
        identities = {}
        for name in names:
            with suppress(FileNotFoundError):
                descriptor = os.open(DIRECTORY / name, os.O_RDONLY | os.O_CLOEXEC)
                stack.callback(os.close, descriptor)
                status = os.fstat(descriptor)
                identities[status.st_dev, status.st_ino] = name
        yield identities


def inhabitants(identities: Mapping[tuple[int, int], str]) -> dict[int, str]:
    """As `processes`, for namespaces that are held and may have lost their names."""
    return dict(_inhabitants(identities))


def _inhabitants(identities: Mapping[tuple[int, int], str]) -> Iterator[tuple[int, str]]:
    if not identities:
        return
    for entry in os.scandir("/proc"):
        if not entry.name.isdecimal():
            continue
        with suppress(OSError):
            status = Path(entry.path, "ns/net").stat()
            name = identities.get((status.st_dev, status.st_ino))
            if name is not None:
                yield int(entry.name), name


def _set(descriptor: int, name: str) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise WorldError(f"cannot enter the namespace {name}: {os.strerror(ctypes.get_errno())}; run as root")


def _batch(commands: Collection[str], *, keep_going: bool) -> None:
    """Runs `ip` commands; they end with the process that asked, so that a killed one leaves none at work."""
    if not commands:
        return
    done = subprocess.run(
        ["setpriv", "--pdeathsig", "KILL", "ip", *(["-force"] if keep_going else []), "-batch", "-"],
        input="\n".join(commands) + "\n",
        capture_output=True,
        text=True,
        timeout=_IP_TIMEOUT_S,
        check=False,
        start_new_session=True,
    )
    if done.returncode != 0 and not keep_going:
        raise WorldError(f"`ip netns` failed: {done.stderr.strip()}")
