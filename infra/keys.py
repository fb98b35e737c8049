"""How the keys of a stack file become the fields of a dataclass: `api-processes` is `api_processes`."""

from __future__ import annotations

from typing import Final

from pydantic import ConfigDict
from pydantic.alias_generators import to_snake

STACK_FILE_KEYS: Final = ConfigDict(
    extra="forbid",
    allow_inf_nan=False,
    alias_generator=lambda name: to_snake(name).replace("_", "-"),
    validate_by_alias=True,
    validate_by_name=True,
)
"""Keys in kebab case in a file, fields by their own names in Python, and nothing else."""
