"""A stand-in for the API of auto scaling groups: what a machine says of itself, which moto only half has."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

PORT: Final = 5001
_NAMESPACE: Final = "http://autoscaling.amazonaws.com/doc/2011-01-01/"
_NEEDED: Final = {
    "SetInstanceHealth": {"InstanceId", "HealthStatus"},
    "CompleteLifecycleAction": {
        "InstanceId",
        "AutoScalingGroupName",
        "LifecycleHookName",
        "LifecycleActionResult",
    },
}


@dataclass
class Group:
    """What was said, in order: each call's action and its arguments."""

    calls: list[dict[str, str]] = field(default_factory=list)

    def of(self, action: str) -> list[dict[str, str]]:
        """The calls of an action."""
        return [call for call in self.calls if call["Action"] == action]

    def completed(self, hook: str | None) -> list[tuple[str, str, str]]:
        """Which group's hook of that name was completed for which machine, and with what result."""
        return [
            (call["AutoScalingGroupName"], call["InstanceId"], call["LifecycleActionResult"])
            for call in self.of("CompleteLifecycleAction")
            if call["LifecycleHookName"] == hook
        ]

    def health(self) -> list[str]:
        """What the machine said of its health."""
        return [call["HealthStatus"] for call in self.of("SetInstanceHealth")]

    def answer(self, body: str) -> tuple[int, str]:
        """The status and the text that a request is answered with; one that lacks something is refused."""
        call = dict(parse_qsl(body))
        action = call.get("Action", "")
        missing = _NEEDED.get(action, {"Action"}) - set(call)
        if missing:
            error = f"<Code>ValidationError</Code><Message>{', '.join(sorted(missing))}</Message>"
            return 400, f'<ErrorResponse xmlns="{_NAMESPACE}"><Error>{error}</Error></ErrorResponse>'
        self.calls.append(call)
        result = f"<{action}Result/>" if action == "CompleteLifecycleAction" else ""
        return 200, f'<{action}Response xmlns="{_NAMESPACE}">{result}</{action}Response>'


@contextmanager
def serving() -> Iterator[Group]:
    """The API of a group, until the end."""
    group = Group()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, text = group.answer(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler) as server:
        threading.Thread(target=server.serve_forever, name="group", daemon=True).start()
        try:
            yield group
        finally:
            server.shutdown()
