"""What looks into a guest: a small server that runs what a test asks, brought in through the firmware.

systemd takes credentials from the SMBIOS tables, `tmpfiles.extra` among them, which writes the files below
into the guest. On AWS those tables are the provider's.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Final

PORT: Final = 8999
MOST_BYTES: Final = 4080
"""Of a table that the kernel shows to systemd: a page, with the table's own head."""

_SERVER: Final = """
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
""".replace("PORT", str(PORT))

_UNIT: Final = """[Unit]
Description=what the test asks
[Service]
ExecStart=/usr/bin/python3 /run/probe/probe.py
OOMScoreAdjust=-900
"""

_DROP_IN: Final = "[Unit]\nWants=probe.service\n"
"""Of a unit that is loaded late: when the network's first lease brings a host name."""


def credential(files: Mapping[str, str]) -> str:
    """The SMBIOS string that makes systemd write files in the guest, beside those of the probe."""
    wanted = {
        "/run/probe/probe.py": _SERVER,
        "/run/systemd/system/probe.service": _UNIT,
        "/run/systemd/system/systemd-hostnamed.service.d/probe.conf": _DROP_IN,
        **files,
    }
    folders = sorted(
        {str(parent) for path in wanted for parent in Path(path).parents if len(parent.parts) > 2}
    )
    lines = [f"d {folder} 0755 root root -" for folder in folders]
    lines += [f"f+ {path} 0644 root root - {_argument(text)}" for path, text in wanted.items()]
    text = "\n".join(lines) + "\n"
    found = "io.systemd.credential.binary:tmpfiles.extra=" + base64.b64encode(text.encode()).decode()
    assert len(found) < MOST_BYTES, (
        f"these are {len(found)} bytes; the kernel shows {MOST_BYTES} of such a table"
    )
    return found


def _argument(text: str) -> str:
    """A file's text as a line of tmpfiles.d has it."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("%", "%%")
