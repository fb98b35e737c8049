"""Logs: one JSON object per line on standard error."""

from __future__ import annotations

import logging
import sys
import time
from typing import Final

import msgspec

from market.origins import current

_encode: Final = msgspec.json.Encoder().encode


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON, with the fields of the process and of the request that it is about."""

    def __init__(self, **fields: str) -> None:
        super().__init__()
        self._fields = fields

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        line: dict[str, str | int] = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "from": record.name,
            **self._fields,
            "message": record.getMessage(),
        }
        origin = getattr(record, "origin", None) or current()
        if origin is not None:
            line |= origin.fields()
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encode(line).decode()


def set_up(process: str, **fields: str) -> None:
    """Log to standard error as `process` from now on; `fields` are in every line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(process=process, **fields))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
