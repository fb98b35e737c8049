"""Takes requests in Smithy's RPC v2 by CBOR for a moto server, which does not know that protocol.

The AWS provider speaks it with CloudWatch since the Go SDK does; of CloudWatch moto knows the JSON protocol,
which has the same operations and members. The protocol is that of
https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import cbor2
from botocore.model import ServiceModel, Shape
from botocore.session import get_session
from werkzeug.test import run_wsgi_app

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

SERVICES: Final = ("cloudwatch",)
"""The services of the program with which a provider may speak it, by botocore's names."""

_OPERATION: Final = re.compile(r"/service/(?P<prefix>\w+)/operation/(?P<operation>\w+)")
_HEADERS: Final = [("Content-Type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")]


def front(server: Wsgi) -> Wsgi:
    """The server with a door more: what comes by CBOR is handed to it as JSON, everything else as it is."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        asked = _OPERATION.fullmatch(environ["PATH_INFO"])
        model = _models().get(asked["prefix"]) if asked else None
        if asked is None or model is None:
            return server(environ, start_response)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        request = as_json(environ["wsgi.input"].read(length))
        body, status, headers = run_wsgi_app(server, _by_json(environ, model, asked["operation"], request))
        if status.startswith("5"):
            # The server's own failure, as a page for people.
            start_response(status, headers.to_wsgi_list())
            return body
        shape = model.operation_model(asked["operation"]).output_shape if status.startswith("2") else None
        answer = as_cbor(b"".join(body), shape)
        start_response(status, [*_HEADERS, ("Content-Length", str(len(answer)))])
        return [answer]

    return app


def as_json(cbor: bytes) -> bytes:
    """The input of an operation; moments are seconds since 1970, as the JSON protocol has them."""
    given = cbor2.loads(cbor) if cbor else {}
    return json.dumps(given, default=datetime.timestamp).encode()


def as_cbor(answer: bytes, shape: Shape | None) -> bytes:
    """The output of an operation with the types that its shape says, or an error as it is.

    Args:
        answer: what the JSON protocol has.
        shape: that of the output; None for an error, and where there is no output.
    """
    found = json.loads(answer or b"{}")
    return cbor2.dumps(_typed(found, shape) if shape else found, datetime_as_timestamp=True, timezone=UTC)


def _typed(value: Any, shape: Shape | Any) -> Any:
    match shape.type_name:
        case "structure":
            return {
                name: _typed(value[name], member)
                for name, member in shape.members.items()
                if value.get(name) is not None
            }
        case "list":
            return [_typed(item, shape.member) for item in value]
        case "map":
            return {key: _typed(item, shape.value) for key, item in value.items()}
        case "timestamp":
            return datetime.fromtimestamp(value, UTC)
        case "double" | "float":
            return float(value)
        case _:
            return value


def _by_json(environ: Mapping[str, Any], model: ServiceModel, operation: str, body: bytes) -> dict[str, Any]:
    return {
        **environ,
        "PATH_INFO": "/",
        "CONTENT_TYPE": f"application/x-amz-json-{model.metadata['jsonVersion']}",
        "HTTP_X_AMZ_TARGET": f"{model.metadata['targetPrefix']}.{operation}",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }


@cache
def _models() -> Mapping[str, ServiceModel]:
    models = (get_session().get_service_model(service) for service in SERVICES)
    return {model.metadata["targetPrefix"]: model for model in models}
