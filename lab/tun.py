"""A host's network device: a TUN whose packets a process reads and writes."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
from contextlib import suppress
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Final

from lab.errors import MachineError, WorldError

DEVICE: Final = Path("/dev/net/tun")
NAME: Final = "wan"
"""The device's name in every host's namespace."""

MTU: Final = 1500
QUEUE_LENGTH: Final = 10_000
"""Packets that the device keeps until they are read: a burst of broadcasts to one region fits."""

HEADER: Final = 10
"""Bytes of the virtio header before each packet of a device with offload."""

CONGESTION_CONTROL: Final = "cubic"
"""What the hosts' TCP uses where the kernel has it: BBR, some machines' default, paces and adds latency."""

_COUNTERS_BYTES: Final = 8192
_TX_DROPPED: Final = 11

_TUNSETIFF: Final = 0x400454CA
_TUNSETOFFLOAD: Final = 0x400454D0
_IFF_TUN: Final = 0x0001
_IFF_NO_PI: Final = 0x1000
_IFF_VNET_HDR: Final = 0x4000
_TUN_F_CSUM_TSO4_ECN: Final = 0x01 | 0x02 | 0x08

_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_SIOCSIFADDR: Final = 0x8916
_SIOCSIFNETMASK: Final = 0x891C
_SIOCSIFMTU: Final = 0x8922
_SIOCSIFTXQLEN: Final = 0x8943
_IFF_UP: Final = 0x1


def create(interface: IPv4Interface, *, offload: bool) -> int:
    """Makes and configures the device in the namespace that the thread is in, and brings `lo` up.

    Args:
        interface: the host's address and the network that it reaches through the device.
        offload: hand over segments of up to 64 KiB with unfinished checksums, each after a virtio header, as
            between virtual machines: a bulk transfer then costs a twentieth. Without it every packet fits the
            MTU and has no header before it.

    Returns:
        The descriptor, non-blocking; the device goes with it.

    Raises:
        MachineError: when the machine has no TUN, or the process may not use it.
    """
    try:
        descriptor = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise MachineError(
            f"cannot open {DEVICE}: {error.strerror}; run as root and load the kernel module tun"
        ) from error
    try:
        kind = _IFF_TUN | _IFF_NO_PI | (_IFF_VNET_HDR if offload else 0)
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", NAME.encode(), kind))
        if offload:
            fcntl.ioctl(descriptor, _TUNSETOFFLOAD, _TUN_F_CSUM_TSO4_ECN)
        _configure(interface)
    except OSError as error:
        os.close(descriptor)
        raise MachineError(f"cannot set up the network device {NAME}: {error.strerror}") from error
    _choose_congestion_control(interface)
    return descriptor


def open_counters() -> int:
    """Opens the counters of the devices in the namespace that the thread is in, for `dropped`."""
    return os.open("/proc/thread-self/net/dev", os.O_RDONLY | os.O_CLOEXEC)


def dropped(counters: int) -> int:
    """How many packets the device has dropped since its queue was full: nobody read them in time."""
    for line in os.pread(counters, _COUNTERS_BYTES, 0).decode().splitlines():
        name, _, values = line.partition(":")
        if name.strip() == NAME:
            return int(values.split()[_TX_DROPPED])
    return 0


def loopback_up() -> None:
    """Brings `lo` up in the namespace that the thread is in."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        _up(control, "lo")


def _configure(interface: IPv4Interface) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        _up(control, "lo")
        _set_int(control, _SIOCSIFMTU, MTU)
        _set_int(control, _SIOCSIFTXQLEN, QUEUE_LENGTH)
        _set_address(control, _SIOCSIFADDR, interface.ip.packed)
        _set_address(control, _SIOCSIFNETMASK, interface.netmask.packed)
        _up(control, NAME)


def _set_int(control: socket.socket, request: int, value: int) -> None:
    fcntl.ioctl(control, request, struct.pack("16si20x", NAME.encode(), value))


def _set_address(control: socket.socket, request: int, address: bytes) -> None:
    fcntl.ioctl(control, request, struct.pack("16sHH4s16x", NAME.encode(), socket.AF_INET, 0, address))


def _up(control: socket.socket, name: str) -> None:
    request = struct.pack("16sH22x", name.encode(), 0)
    flags: int = struct.unpack("16sH22x", fcntl.ioctl(control, _SIOCGIFFLAGS, request))[1]
    fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", name.encode(), flags | _IFF_UP))


def _choose_congestion_control(interface: IPv4Interface) -> None:
    """For the namespace, or, where the kernel reserves the algorithm to the machine's own, for the route."""
    settings = Path("/proc/sys/net/ipv4")
    with suppress(OSError):
        if (
            CONGESTION_CONTROL
            not in settings.joinpath("tcp_available_congestion_control").read_text().split()
        ):
            return
        if settings.joinpath("tcp_congestion_control").read_text().strip() == CONGESTION_CONTROL:
            return
        settings.joinpath("tcp_congestion_control").write_text(CONGESTION_CONTROL)
        return
    route = ["dev", NAME, "proto", "kernel", "scope", "link", "src", str(interface.ip)]
    changed = subprocess.run(
        ["ip", "route", "change", str(interface.network), *route, "congctl", CONGESTION_CONTROL],
        capture_output=True,
        text=True,
        check=False,
    )
    if changed.returncode != 0:
        raise WorldError(f"cannot choose {CONGESTION_CONTROL} for {interface}: {changed.stderr.strip()}")
