"""What each resource type does on AWS, a module per area."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules


def load() -> None:
    """Imports every module of handlers, which registers them."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
