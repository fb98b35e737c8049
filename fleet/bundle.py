"""The load generator as it is delivered to load machines: a zip of modules that Python imports as it is.

What it imports besides is on the machine image: the service's protocol and the packages.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Final

import bench

OWN: Final = ("__init__.py", "crew.py", "job.py")
"""The modules of this package that run on a load machine."""

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip knows: equal sources give equal bytes."""


def generator_zip() -> bytes:
    """The zip, of the modules that this command was started with."""
    generator = Path(bench.__path__[0])
    here = Path(__file__).parent
    files = [(f"bench/{path.name}", path) for path in sorted(generator.glob("*.py"))]
    files += [(f"fleet/{name}", here / name) for name in OWN]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in files:
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return made.getvalue()
