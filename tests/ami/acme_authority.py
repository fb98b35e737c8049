"""A certificate authority that speaks as much of ACME (RFC 8555) as an order by DNS needs, by plain HTTP."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from josepy.jwk import JWKEC

DAYS = 90
Answer = tuple[int, Any, dict[str, str]]
"""A status, a document and headers."""

Lookup = Callable[[str], list[str]]
"""The TXT values of a name at present."""


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Authority:
    """What it has been asked: one order at a time, whose names it looks up in `dns`."""

    def __init__(self, dns: Lookup) -> None:
        self.dns = dns
        self.url = ""
        self.orders = 0
        self.names: list[str] = []
        self.status: dict[int, str] = {}
        self.certificate = ""
        self._thumbprint = ""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test's authority")])

    def answer(self, path: str, body: dict[str, Any]) -> Answer:
        """What it says to a request."""
        what, _, number = path.strip("/").partition("/")
        said: Answer = getattr(self, f"_on_{what}{'_one' if number else ''}")(number, body)
        return said

    def _on_dir(self, _: str, __: dict[str, Any]) -> Answer:
        kinds = {"newNonce": "nonce", "newAccount": "account", "newOrder": "order"}
        return 200, {key: f"{self.url}/{kind}" for key, kind in kinds.items()}, {}

    def _on_account(self, _: str, body: dict[str, Any]) -> Answer:
        jwk = json.loads(_decoded(body["protected"]))["jwk"]
        self._thumbprint = _encoded(JWKEC.fields_from_json(jwk).thumbprint())
        return 201, {"status": "valid"}, {"Location": f"{self.url}/account/1"}

    def _on_order(self, _: str, body: dict[str, Any]) -> Answer:
        self.orders += 1
        self.names = [each["value"] for each in json.loads(_decoded(body["payload"]))["identifiers"]]
        self.status = dict.fromkeys(range(len(self.names)), "pending")
        self.certificate = ""
        return 201, self._order(), {"Location": f"{self.url}/order/1"}

    def _on_order_one(self, _: str, __: dict[str, Any]) -> Answer:
        return 200, self._order(), {}

    def _on_authorization_one(self, number: str, _: dict[str, Any]) -> Answer:
        return 200, self._authorization(int(number)), {}

    def _on_challenge_one(self, number: str, _: dict[str, Any]) -> Answer:
        self.status[int(number)] = "valid" if self._seen(int(number)) else "invalid"
        up = {"Link": f'<{self.url}/authorization/{number}>;rel="up"'}
        return 200, self._authorization(int(number))["challenges"][0], up

    def _on_finalize(self, _: str, body: dict[str, Any]) -> Answer:
        csr = json.loads(_decoded(body["payload"]))["csr"]
        self.certificate = self._signed(x509.load_der_x509_csr(_decoded(csr)))
        return 200, self._order(), {"Location": f"{self.url}/order/1"}

    def _on_certificate(self, _: str, __: dict[str, Any]) -> Answer:
        return 200, self.certificate, {}

    def _order(self) -> dict[str, Any]:
        ready = set(self.status.values()) == {"valid"}
        order = {
            "status": "valid" if self.certificate else "ready" if ready else "pending",
            "identifiers": [{"type": "dns", "value": name} for name in self.names],
            "authorizations": [f"{self.url}/authorization/{n}" for n in self.status],
            "finalize": f"{self.url}/finalize",
        }
        return order | ({"certificate": f"{self.url}/certificate"} if self.certificate else {})

    def _authorization(self, number: int) -> dict[str, Any]:
        status = self.status[number]
        detail = {"type": "urn:ietf:params:acme:error:dns", "detail": "no TXT record with the digest"}
        challenge = {
            "type": "dns-01",
            "status": status,
            "url": f"{self.url}/challenge/{number}",
            "token": _encoded(f"token-{self.orders}-{number}".encode().ljust(32, b".")),
        } | ({"error": detail} if status == "invalid" else {})
        return {
            "status": status,
            "identifier": {"type": "dns", "value": self.names[number].removeprefix("*.")},
            "wildcard": self.names[number].startswith("*."),
            "challenges": [challenge],
        }

    def _seen(self, number: int) -> bool:
        found = self._authorization(number)
        digest = hashlib.sha256(f"{found['challenges'][0]['token']}.{self._thumbprint}".encode()).digest()
        return _encoded(digest) in self.dns(f"_acme-challenge.{found['identifier']['value']}")

    def _signed(self, csr: x509.CertificateSigningRequest) -> str:
        now = datetime.now(UTC)
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert sorted(names.get_values_for_type(x509.DNSName)) == sorted(self.names)

        def signed(subject: x509.Name, key: Any, authority: bool) -> str:
            made = (
                x509.CertificateBuilder()
                .subject_name(subject)
                .issuer_name(self._name)
                .public_key(key)
                .serial_number(x509.random_serial_number())
                .not_valid_before(now)
                .not_valid_after(now + timedelta(days=DAYS))
                .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            )
            if not authority:
                made = made.add_extension(names, critical=False)
            return made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

        return signed(csr.subject, csr.public_key(), False) + signed(self._name, self._key.public_key(), True)


@contextmanager
def authority(dns: Lookup) -> Iterator[Authority]:
    """An authority that runs while the context lasts; its directory is at `url` + `/dir`."""
    state = Authority(dns)

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._send(200, None, {})

        def do_GET(self) -> None:
            self._send(*state.answer(self.path, {}))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._send(*state.answer(self.path, body))

        def _send(self, status: int, document: Any, headers: dict[str, str]) -> None:
            text = document if isinstance(document, str) else json.dumps(document)
            self.send_response(status)
            chain = isinstance(document, str)
            self.send_header("Content-Type", f"application/{'pem-certificate-chain' if chain else 'json'}")
            self.send_header("Content-Length", str(len(text) if document is not None else 0))
            self.send_header("Replay-Nonce", _encoded(b"nonce"))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if document is not None:
                self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
