"""The description of the operations (OpenAPI 3.1), made from the types of their messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from market import protocol
from market.http.routes import ROUTES, Route

_REF: Final = "#/components/schemas/{name}"
_ERRORS: Final = {
    "400": "The request is malformed.",
    "401": "No valid token was shown.",
    "403": "The user may not do this.",
    "404": "There is no such thing.",
    "409": "This cannot be done in the present state.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
    "429": "Too many requests; see `Retry-After`.",
    "500": "The server failed; repeat a write with the same key.",
    "503": "The data cannot be reached, or the server drains; repeat a write with the same key.",
}


def document(version: str) -> dict[str, Any]:
    """The description of every operation.

    Args:
        version: of the service.
    """
    types = [kind for route in ROUTES for kind in (route.request, route.reply)] + [protocol.Error]
    _, schemas = msgspec.json.schema_components(types, ref_template=_REF)
    for route in ROUTES:
        _without(schemas[route.request.__name__], ("id", "type", *route.in_path))
        _without(schemas[route.reply.__name__], ("id",))
    for schema in schemas.values():
        _python_pattern(schema)
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    used = {route.request.__name__ for route in ROUTES if route.method == "GET" or not route.elsewhere}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The market",
            "version": version,
            "description": "The operations that have one reply; what is pushed comes by WebSocket.",
        },
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in schemas.items() if name not in used},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
        "security": [{"token": []}],
    }


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    tag = str(route.request.__struct_config__.tag)
    fields = {field.name: field for field in msgspec.structs.fields(route.request)}
    parameters = [_parameter(fields[name], "path") for name in route.in_path]
    operation: dict[str, Any] = {
        "operationId": tag,
        "summary": (route.request.__doc__ or "").strip().partition("\n")[0],
        "responses": {
            "200": _response((route.reply.__doc__ or "").strip().partition("\n")[0], route.reply.__name__),
            **{status: _response(text, "Error") for status, text in _ERRORS.items()},
        },
    }
    if route.method == "GET":
        parameters += [_parameter(fields[name], "query") for name in route.elsewhere]
    elif route.elsewhere:
        required = bool(schemas[route.request.__name__].get("required"))
        schema = {"$ref": _REF.format(name=route.request.__name__)}
        operation["requestBody"] = {"required": required, "content": {"application/json": {"schema": schema}}}
    if parameters:
        operation["parameters"] = parameters
    return operation


def _parameter(field: msgspec.structs.FieldInfo, where: str) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([field.type], ref_template=_REF)
    if "anyOf" in schema:
        schema = next(one for one in schema["anyOf"] if one != {"type": "null"})
    _python_pattern(schema)
    return {"name": field.name, "in": where, "required": where == "path", "schema": schema}


def _response(description: str, name: str) -> dict[str, Any]:
    schema = {"$ref": _REF.format(name=name)}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _without(schema: dict[str, Any], names: Iterable[str]) -> None:
    for name in names:
        schema["properties"].pop(name, None)
    schema["required"] = [name for name in schema.get("required", []) if name in schema["properties"]]


def _python_pattern(schema: Any) -> None:
    """Write the end of a regular expression as JSON Schema does: `$`."""
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            schema["pattern"] = schema["pattern"].replace("\\Z", "$")
        for value in schema.values():
            _python_pattern(value)
    elif isinstance(schema, list):
        for value in schema:
            _python_pattern(value)
