"""A stand-in for the instance metadata service (version 2 only), which answers as AWS's does."""

from __future__ import annotations

import http.server
import json
import secrets
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

ADDRESS: Final = "169.254.169.254"
ROLE: Final = "isochrone-test"


class Metadata:
    """What one machine is told; `answers` may change while it runs.

    Args:
        instance_id: the machine's id.
        region: where it is.
        address: its private address.
        user_data: what it is told at boot, None when that is nothing.
    """

    def __init__(self, instance_id: str, region: str, address: str, user_data: str | None) -> None:
        self.token = secrets.token_urlsafe(32)
        self.asked: list[str] = []
        self.answers: dict[str, str] = {
            "meta-data/instance-id": instance_id,
            "meta-data/placement/region": region,
            "meta-data/placement/availability-zone": f"{region}a",
            "meta-data/local-ipv4": address,
            "meta-data/iam/security-credentials/": ROLE,
            "dynamic/instance-identity/document": json.dumps({"instanceId": instance_id, "region": region}),
        }
        if user_data is not None:
            self.answers["user-data"] = user_data

    def answer(self, path: str) -> str | None:
        """What is answered for a path below `/latest/`."""
        self.asked.append(path)
        if path == f"meta-data/iam/security-credentials/{ROLE}":
            return json.dumps(_credentials())
        return self.answers.get(path)


def _credentials() -> Mapping[str, str]:
    now = datetime.now(UTC)
    return {
        "Code": "Success",
        "LastUpdated": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Type": "AWS-HMAC",
        "AccessKeyId": "ASIATESTTESTTESTTEST",
        "SecretAccessKey": "of-no-use-outside-of-this-test",
        "Token": "of-no-use-outside-of-this-test",
        "Expiration": (now + timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


def serve(metadata: Metadata, address: str = ADDRESS, port: int = 80) -> http.server.ThreadingHTTPServer:
    """Answer for a machine until the server is shut down."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            if self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]:
                self._reply(200, metadata.token)
            else:
                self._reply(400, "")

        def do_GET(self) -> None:
            if self.headers["X-aws-ec2-metadata-token"] != metadata.token:
                self._reply(401, "")
                return
            text = metadata.answer(self.path.removeprefix("/latest/"))
            self._reply(404 if text is None else 200, text or "")

        def _reply(self, status: int, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            pass

    server = _Server((address, port), Handler)
    threading.Thread(target=server.serve_forever, name=f"imds {address}", daemon=True).start()
    return server
