"""`python -m ami.build` builds the image; `python -m ami.build lock` records the newest packages."""

from __future__ import annotations

import os
import sys

from ami.build.image import REPOSITORY, Image
from ami.errors import AmiError


def main(arguments: list[str]) -> int:
    """Build the image or record its packages; the status is 0 when that worked."""
    if os.geteuid() != 0:
        sys.stderr.write("the image is built by root: debootstrap makes devices and owners; use sudo\n")
        return 1
    image = Image(REPOSITORY / "out" / "image")
    try:
        if arguments == ["lock"]:
            image.record()
            return 0
        if arguments:
            sys.stderr.write("usage: python -m ami.build [lock]\n")
            return 2
        clock = image.build()
    except AmiError as error:
        sys.stderr.write(f"image: {error}\n")
        return 1
    for step, seconds in clock.steps.items():
        sys.stdout.write(f"{seconds:6.1f} s  {step}\n")
    sys.stdout.write(f"{sum(clock.steps.values()):6.1f} s  {image.disk.relative_to(REPOSITORY)}\n")
    for note in image.notes():
        sys.stdout.write(f"{note}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
