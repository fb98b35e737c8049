"""A machine that boots the image under QEMU, and a way to look into it.

The disk is booted as it is. What looks into it comes through the firmware: systemd takes credentials from the
SMBIOS tables, `tmpfiles.extra` among them, which writes the files below into the guest's memory file systems.
On AWS those tables are the provider's.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

PROBE_PORT: Final = 8999
GATEWAY: Final = "10.0.2.2"
"""By which the guest reaches 127.0.0.1 of the machine that runs it."""

ADDRESS: Final = "10.0.2.15"
"""The guest's own."""

BOOT_S: Final = 150.0
"""How long a boot may take: without KVM, and with both cores busy."""

_POLL_S: Final = 0.25
_KVM_PROBE_S: Final = 12.0

_PROBE: Final = """
import http.server, json, subprocess

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        script = self.rfile.read(int(self.headers["Content-Length"])).decode()
        none = subprocess.DEVNULL
        done = subprocess.run(["/bin/bash", "-c", script], stdin=none, capture_output=True, text=True)
        body = json.dumps([done.returncode, done.stdout, done.stderr]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("", PORT), Handler).serve_forever()
""".replace("PORT", str(PROBE_PORT))

_UNIT: Final = """[Unit]
Description=what the test asks
[Service]
ExecStart=/usr/bin/python3 /run/probe/probe.py
OOMScoreAdjust=-900
"""

_DROP_IN: Final = "[Unit]\nWants=probe.service\n"
"""Of a unit that is loaded late: when the network's first lease brings a host name."""

T = TypeVar("T")


class GuestError(AssertionError):
    """The guest did not do in time what it was to do; the message has the end of its console."""


def credential(files: Mapping[str, str]) -> str:
    """The SMBIOS string that makes systemd write files in the guest, beside those of the probe."""
    wanted = {
        "/run/probe/probe.py": _PROBE,
        "/run/systemd/system/probe.service": _UNIT,
        "/run/systemd/system/systemd-hostnamed.service.d/probe.conf": _DROP_IN,
        **files,
    }
    folders = sorted(
        {str(parent) for path in wanted for parent in Path(path).parents if len(parent.parts) > 2}
    )
    lines = [f"d {folder} 0755 root root -" for folder in folders]
    lines += [
        f"f~ {path} 0644 root root - {base64.b64encode(text.encode()).decode()}"
        for path, text in wanted.items()
    ]
    text = "\n".join(lines) + "\n"
    return "io.systemd.credential.binary:tmpfiles.extra=" + base64.b64encode(text.encode()).decode()


@dataclass
class Guest:
    """A running machine.

    Args:
        directory: where its disk and its console are.
        disk: the image, which is never written to.
        forwards: ports of the guest, by the port of 127.0.0.1 that leads there.
        files: what is written into it at boot.
        extra: more arguments for QEMU.
        memory_mib: its memory.
        accelerator: `kvm` or `tcg`.
    """

    directory: Path
    disk: Path
    forwards: Mapping[int, int]
    files: Mapping[str, str] = field(default_factory=dict)
    extra: Sequence[str] = ()
    memory_mib: int = 2048
    accelerator: str = "tcg"
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

    def start(self) -> None:
        """Switch it on; its disk stays what it was, on top of the image."""
        overlay = self.directory / "disk.qcow2"
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
        smbios.write_text(credential(self.files))
        forwards = "".join(
            f",hostfwd=tcp:127.0.0.1:{port}-:{inner}"
            for port, inner in {**self.forwards, self.probe_port: PROBE_PORT}.items()
        )
        with (self.directory / "qemu.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(
                        "qemu-system-x86_64",
                        "-accel",
                        self.accelerator,
                        "-smp",
                        "2",
                        "-m",
                        str(self.memory_mib),
                    ),
                    *("-cpu", "max" if self.accelerator.startswith("tcg") else "host"),
                    *("-display", "none", "-nodefaults", "-vga", "none", "-no-user-config"),
                    *("-chardev", f"file,id=console,path={self.console_file},append=on"),
                    *(
                        "-serial",
                        "chardev:console",
                        "-monitor",
                        f"unix:{self.directory}/monitor,server,nowait",
                    ),
                    *("-drive", f"file={overlay},if=virtio,format=qcow2,cache=unsafe"),
                    *("-netdev", f"user,id=net,hostname=isochrone{forwards}"),
                    *("-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci"),
                    *("-smbios", f"type=11,path={smbios}"),
                    *self.extra,
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

    @property
    def running(self) -> bool:
        """Whether it is on."""
        return self._process is not None and self._process.poll() is None

    def run(self, script: str, timeout_s: float = 50.0) -> str:
        """What a shell script writes that runs in the guest as root.

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
            text = self.run("systemctl is-system-running || true", timeout_s=10).strip()
            return None if text in ("starting", "initializing", "") else text

        return self.until("the machine has booted", state)


def accelerator(disk: Path, directory: Path) -> str:
    """`kvm` where it boots the image's kernel, otherwise `tcg`.

    There are machines whose /dev/kvm opens and makes machines that never get past the boot loader.
    """
    wanted = os.environ.get("ISOCHRONE_ACCEL")
    if wanted:
        return wanted
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    directory.mkdir(exist_ok=True)
    with contextlib.suppress(GuestError):
        guest = Guest(directory, disk, {}, accelerator="kvm", probe_port=18998)
        guest.start()
        try:
            guest.until("a kernel", lambda: True if "Linux version" in guest.console else None, _KVM_PROBE_S)
            return "kvm"
        finally:
            guest.stop()
    return "tcg"


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
