"""What the image stack's file says: which snapshot is registered as which image, and copied to where."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from infra.architecture import Region
from infra.errors import StackFileError
from infra.keys import STACK_FILE_KEYS
from infra.reading import Reading
from infra.stackfile import NAMESPACE, advice
from infra.volumes import IMAGE_GIB

Snapshot = Annotated[str, StringConstraints(pattern=r"^snap-([0-9a-f]{8}|[0-9a-f]{17})$")]
Tag = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")]
Version = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Tree = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{7,40}$")]

KEPT: Final = 4
"""How many earlier images may stay registered beside the current one."""

_ADVICE: Final = {
    "snapshot": "is missing; publish the disk and name its snapshot: "
    "pulumi config set isochrone:snapshot snap-... -s image",
    "tested": "names the snapshot of the disk that was booted and checked: "
    "pulumi config set isochrone:tested snap-... -s image, or pulumi config rm isochrone:tested -s image "
    "while none was",
}


@dataclass(frozen=True, config=STACK_FILE_KEYS)
class Image:
    """One image: the snapshot of its disk, and the tag by which stacks ask for it.

    `version` is the service's version in it and `tree` the commit that it was built from; `tested` says that
    this disk was booted and checked. No stack uses an image that was not.
    """

    snapshot: Snapshot
    image: Tag = "current"
    version: Version | None = None
    tree: Tree | None = None
    tested: bool = False


@dataclass(frozen=True, config=STACK_FILE_KEYS)
class ImageSpec:
    """The image stack: the current image, the last few before it, and the regions that have them.

    `size_gib` is the disk's size; a machine's own volume may be larger. `tested` is the snapshot whose disk
    was booted and checked: one that is set later is not tested by what was said of the one before. The rest
    is as in `Image`.
    """

    home: Region
    regions: Annotated[tuple[Region, ...], Field(min_length=1)]
    snapshot: Snapshot
    image: Tag = "current"
    version: Version | None = None
    tree: Tree | None = None
    tested: Snapshot | None = None
    size_gib: Annotated[int, Field(gt=0, le=64)] = IMAGE_GIB
    previous: Annotated[tuple[Image, ...], Field(max_length=KEPT)] = ()
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")] = "image"

    @property
    def images(self) -> tuple[Image, ...]:
        """Every image that is registered, the current one first."""
        tested = self.tested == self.snapshot
        return (Image(self.snapshot, self.image, self.version, self.tree, tested), *self.previous)


def is_image(values: Mapping[str, object]) -> bool:
    """Whether a stack's configuration describes machine images and not an architecture.

    Only the image stack lists the regions of the whole stack; an architecture's are those of its nodes.
    """
    return f"{NAMESPACE}regions" in values and f"{NAMESPACE}nodes" not in values


def image_from_config(stack: str, values: Mapping[str, object]) -> ImageSpec:
    """The images that a stack's configuration describes.

    Args:
        stack: the stack's name.
        values: its configuration by full key, as the file has it or as the engine hands it over.

    Raises:
        StackFileError: with every mistake, each with its key.
    """
    own = {
        key.removeprefix(NAMESPACE): _opened(value)
        for key, value in values.items()
        if key.startswith(NAMESPACE)
    }
    named = {**own, "name": stack}
    spec: ImageSpec | None = None
    mistakes: list[str] = []
    try:
        spec = TypeAdapter(ImageSpec).validate_python(named, by_name=False)
    except ValidationError as error:
        mistakes += [_mistake(dict(each)) for each in error.errors(include_url=False)]
    mistakes += [f"{NAMESPACE}{key}: {text}" for key, text in _contradictions(Reading(ImageSpec, named))]
    if mistakes or spec is None:
        raise StackFileError(f"Pulumi.{stack}.yaml", mistakes)
    return spec


def _opened(value: object) -> object:
    """The value itself, where the engine hands over a list or a mapping as JSON text."""
    if isinstance(value, str) and value.startswith(("[", "{")):
        with suppress(ValueError):
            return json.loads(value)
    return value


def _mistake(error: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in error["loc"])
    text = advice(error)
    if error["type"] in ("missing", "missing_argument"):
        text = _ADVICE.get(key, text)
    elif key == "tested":
        text = f"{_ADVICE[key]} (it is {reprlib.repr(error['input'])})"
    return f"{NAMESPACE}{key}: {text}"


def _contradictions(r: Reading) -> Iterator[tuple[str, str]]:
    match r.read("regions", "home"):
        case (regions, home) if home not in regions:
            yield "regions", f"lacks home ({home}), where the snapshot is"
    match r.read("regions"):
        case (regions,) if len(set(regions)) < len(regions):
            yield "regions", "names a region twice"
    for what in ("snapshot", "image"):
        keys = (what, *(f"{item}.{what}" for item in r.items("previous")))
        values = [value for key in keys for value in r.read(key) or ()]
        for twice in sorted({value for value in values if values.count(value) > 1}):
            yield "previous", f"{what} {twice} is there twice; each image needs its own"


def tags(spec: ImageSpec, image: Image) -> dict[str, str]:
    """The tags of an image, by which it is found, and which say what is in it."""
    told = {"version": image.version, "tree": image.tree}
    return {
        "Name": f"isochrone-{spec.name}-{image.image}",
        "isochrone:stack": spec.name,
        "isochrone:managed-by": "pulumi",
        "isochrone:image": image.image,
        "isochrone:tested": str(image.tested).lower(),
        **{f"isochrone:{key}": value for key, value in told.items() if value},
    }
