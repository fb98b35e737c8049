"""The secrets that the machine has fetched at boot, as files."""

from __future__ import annotations

from pathlib import Path

from ami.node.reporter.errors import MeasuringError


def read_secret(path: Path) -> str:
    """The secret in a file, without the white space around it.

    Raises:
        MeasuringError: when the file cannot be read or is empty.
    """
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise MeasuringError(f"cannot read the secret {path}: {error.strerror}") from error
    if not secret:
        raise MeasuringError(f"the secret {path} is empty")
    return secret
