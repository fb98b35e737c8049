"""Real journals of systemd's, written by systemd-journal-remote while they are followed."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path
from typing import Final

WRITER: Final = "/lib/systemd/systemd-journal-remote"
MACHINE: Final = "a" * 32
BOOT: Final = "b" * 32


class RealJournal:
    """A journal in a directory of its own, whose entries have the times that a test gives them."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        self._lock = threading.Lock()
        self._entries = 0
        self._writer = subprocess.Popen(
            [WRITER, "--split-mode=none", "-o", str(directory / "machine.journal"), "-"],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def write(
        self,
        message: str | bytes | None,
        at_s: float | None = None,
        *,
        unit: str | None = "market-api@0.service",
        identifier: str = "market",
        pid: int | None = 12,
        priority: int = 6,
        boot: str = BOOT,
    ) -> None:
        """Append an entry of a time (Unix time, s), the present by default."""
        fields: dict[str, str | bytes | None] = {
            "PRIORITY": str(priority),
            "SYSLOG_IDENTIFIER": identifier,
            "_SYSTEMD_UNIT": unit,
            "_PID": None if pid is None else str(pid),
            "MESSAGE": message,
        }
        with self._lock:
            self._entries += 1
            at_us = int((time.time() if at_s is None else at_s) * 1_000_000)
            text = f"__REALTIME_TIMESTAMP={at_us}\n__MONOTONIC_TIMESTAMP={self._entries}\n".encode()
            text += f"_BOOT_ID={boot}\n_MACHINE_ID={MACHINE}\n".encode()
            for name, value in fields.items():
                if value is not None:
                    data = value if isinstance(value, bytes) else value.encode()
                    text += name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
            assert self._writer.stdin is not None
            self._writer.stdin.write(text + b"\n")
            self._writer.stdin.flush()

    def close(self) -> None:
        """End the writing; what was written stays."""
        self._writer.communicate(timeout=20)
