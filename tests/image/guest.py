"""A machine that boots the image under QEMU, and a way to look into it.

The disk is booted as it is; `tests.image.probe` says how it is looked into.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from tests.image import probe

GATEWAY: Final = "10.0.2.2"
"""By which the guest reaches 127.0.0.1 of the machine that runs it."""

ADDRESS: Final = "10.0.2.15"
"""The guest's own."""

BOOT_S: Final = 900.0
"""How long a boot may take without KVM, on a machine that does much else: the usual is 40 s."""

_POLL_S: Final = 1.5
"""Without KVM a question costs the guest a tenth of a second and more."""

_KVM_PROBE_S: Final = 12.0

TCG: Final = "tcg,tb-size=256"
"""Emulation, with room for 256 MiB of translated code instead of a gigabyte: a baseline is in service after
92 s of this machine's time instead of 102; after 95 with half as much room, 106 with a quarter.
"""

WITH_US: Final = ("setpriv", "--pdeathsig", "KILL")
"""What a server of the tests is started with, so that it ends with them, however they end."""

T = TypeVar("T")


class GuestError(AssertionError):
    """The guest did not do in time what it was to do; the message has the end of its console."""


@dataclass
class Guest:
    """A running machine.

    Args:
        directory: where its disk and its console are.
        disk: the image, which is never written to.
        forwards: ports of the guest, by the port of 127.0.0.1 that leads there.
        files: what is written into it at boot.
        memory_mib: its memory.
        accelerator: `kvm` or `tcg`.
        cores: its processors; a second one costs a fifth more of this machine's time without KVM.
        niceness: how far it stands back behind other machines (0 to 19).
    """

    directory: Path
    disk: Path
    forwards: Mapping[int, int]
    files: Mapping[str, str] = field(default_factory=dict)
    memory_mib: int = 2048
    accelerator: str = TCG
    cores: int = 1
    niceness: int = 0
    probe_port: int = 18999
    size_gib: int = 8
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def console_file(self) -> Path:
        """What the machine writes to its serial console, over all of its boots."""
        return self.directory / "console.log"

    @property
    def console(self) -> str:
        """The console's text so far, without colours."""
        text = self.console_file.read_text(errors="replace") if self.console_file.exists() else ""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)

    @property
    def overlay(self) -> Path:
        """Its own disk: what it has written on top of the image."""
        return self.directory / "disk.qcow2"

    def start(self) -> None:
        """Switch it on; its disk stays what it was, on top of the image."""
        overlay = self.overlay
        if not overlay.exists():
            subprocess.run(
                [
                    *("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw"),
                    *("-b", str(self.disk), str(overlay), f"{self.size_gib}G"),
                ],
                check=True,
                timeout=30,
            )
        smbios = self.directory / "smbios"
        smbios.write_text(probe.credential(self.files))
        forwards = "".join(
            f",hostfwd=tcp:127.0.0.1:{port}-:{inner}"
            for port, inner in {**self.forwards, self.probe_port: probe.PORT}.items()
        )
        with (self.directory / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(*WITH_US, "nice", f"-n{self.niceness}"),
                    *("qemu-system-x86_64", "-accel", self.accelerator),
                    *("-smp", str(self.cores), "-m", str(self.memory_mib)),
                    *("-cpu", "max" if self.accelerator.startswith("tcg") else "host"),
                    *("-display", "none", "-nodefaults", "-vga", "none", "-no-user-config"),
                    *("-chardev", f"file,id=console,path={self.console_file},append=on"),
                    *("-serial", "chardev:console"),
                    *("-monitor", f"unix:{self._monitor_socket},server,nowait"),
                    *("-drive", f"file={overlay},if=virtio,format=qcow2,cache=unsafe"),
                    *("-netdev", f"user,id=net,hostname=isochrone{forwards}"),
                    *("-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci"),
                    *("-smbios", f"type=11,path={smbios}"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def stop(self) -> None:
        """Switch it off, as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def press_power_button(self, timeout_s: float) -> float:
        """Ask it to go as AWS does when a machine is terminated; the seconds until it was off.

        Raises:
            GuestError: when it is not off in time.
        """
        assert self._process is not None
        began = time.monotonic()
        self.monitor("system_powerdown")
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise GuestError(
                f"not off after {timeout_s:g} s; its console ends:\n{self.console[-4000:]}"
            ) from None
        return time.monotonic() - began

    def attach(self, volume: Path) -> None:
        """Attach a disk while it runs, as AWS attaches volumes."""
        self.monitor(f"drive_add 0 if=none,id=attached,format=raw,file={volume}")
        self.monitor("device_add virtio-blk-pci,drive=attached")

    def monitor(self, command: str) -> str:
        """What QEMU answers to a command of its monitor."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(self._monitor_socket))
            _until_prompt(connection)
            connection.sendall(command.encode() + b"\n")
            return _until_prompt(connection)

    @property
    def _monitor_socket(self) -> Path:
        return self.directory / "monitor"

    @property
    def running(self) -> bool:
        """Whether it is on."""
        return self._process is not None and self._process.poll() is None

    def run(self, script: str, timeout_s: float = 240.0) -> str:
        """What a shell script writes that runs in the guest as root.

        A program that takes seconds elsewhere takes most of a minute in a guest that is emulated.

        Raises:
            GuestError: when it fails.
            OSError: when the guest does not answer.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.probe_port, timeout=timeout_s)
        try:
            connection.request("POST", "/", script.encode())
            status, out, err = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        if status != 0:
            raise GuestError(f"`{script[:200]}` failed ({status}):\n{out}{err}")
        return str(out)

    def until(self, what: str, ask: Callable[[], T | None], timeout_s: float = BOOT_S) -> T:
        """The first answer that is neither None nor an error of the network.

        Raises:
            GuestError: when there is none in time, or the machine is off.
        """
        deadline = time.monotonic() + timeout_s
        last: object = "nothing"
        while time.monotonic() < deadline and self.running:
            try:
                answer = ask()
            except (OSError, http.client.HTTPException, GuestError, ValueError) as error:
                last = error
            else:
                if answer is not None:
                    return answer
                last = "not yet"
            time.sleep(_POLL_S)
        state = f"not after {timeout_s:g} s" if self.running else "the machine is off"
        raise GuestError(f"{what}: {state} ({last}); its console ends:\n{self.console[-4000:]}")

    def settled(self) -> str:
        """The state of the system when nothing is starting any more (`running` or `degraded`)."""

        def state() -> str | None:
            # The guest waits by itself: to be asked costs it a good part of its only processor.
            text = self.run("systemctl is-system-running --wait || true", BOOT_S).strip()
            return None if text in ("starting", "initializing", "") else text

        return self.until("the machine has booted", state)


def _until_prompt(connection: socket.socket) -> str:
    text = b""
    while not text.endswith(b"(qemu) "):
        if not (part := connection.recv(4096)):
            break
        text += part
    return text.decode(errors="replace")


def accelerator(disk: Path, directory: Path) -> str:
    """`kvm` where it boots the image's kernel, otherwise `TCG`.

    There are machines whose /dev/kvm opens and makes machines that never get past the boot loader.
    """
    wanted = os.environ.get("ISOCHRONE_ACCEL")
    if wanted:
        return wanted
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return TCG
    directory.mkdir(exist_ok=True)
    with contextlib.suppress(GuestError):
        guest = Guest(directory, disk, {}, accelerator="kvm", probe_port=18998)
        guest.start()
        try:
            guest.until("a kernel", lambda: True if "Linux version" in guest.console else None, _KVM_PROBE_S)
            return "kvm"
        finally:
            guest.stop()
    return TCG


@contextlib.contextmanager
def running(guest: Guest) -> Iterator[Guest]:
    """The guest, switched on; off again at the end, with its console kept."""
    guest.start()
    try:
        yield guest
    finally:
        guest.stop()


def kill(guest: Guest, unit: str) -> None:
    """End the main process of a unit as the kernel does when memory is short."""
    guest.run(f"systemctl is-active -q {unit} && systemctl kill --kill-whom=main --signal=SIGKILL {unit}")
