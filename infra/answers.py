"""What stands for AWS's answers when a program runs offline: made from names, the same in every run."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Mapping
from functools import cache
from ipaddress import IPv4Address
from typing import Any, Final, get_origin

from pulumi import _types

from infra.errors import InfraError

ACCOUNT: Final = "123456789012"
"""The account in every made-up ARN: the one of AWS's own documentation."""

_ADDRESSES: Final = IPv4Address("198.18.0.0")
"""The first address of the range that is reserved for benchmarks."""


class UnansweredError(InfraError):
    """A program asks for something that has no answer offline."""


def outputs(type_: str, name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of a resource that AWS would make up, so far as they are texts or versions.

    An output is `NAME.output`; an ARN, an address and a version have their form.
    """
    made: dict[str, Any] = {}
    for output, kind in _outputs_of(type_).items():
        if output in ("id", "urn", "region") or output in inputs:
            continue
        if output == "arn" or output.endswith("Arn"):
            made[output] = f"arn:aws:{_service(type_)}:{inputs.get('region', '')}:{ACCOUNT}:{name}"
        elif kind is str and output.endswith("Ip"):
            made[output] = str(_ADDRESSES + int(hashlib.sha256(name.encode()).hexdigest(), 16) % 2**17)
        elif kind is str:
            made[output] = f"{name}.{output}"
        elif kind is int and output.endswith("Version"):
            made[output] = 1
        elif output == "nameServers":
            made[output] = [f"{name}.nameServers[{number}]" for number in range(4)]
    return made


@cache
def _outputs_of(type_: str) -> Mapping[str, object]:
    """The outputs of a resource type that are always there, by Pulumi's keys, with their types."""
    package, module, name = type_.split(":")
    if package != "aws":
        return {}
    module = module.partition("/")[0]
    python = importlib.import_module("pulumi_aws" if module == "index" else f"pulumi_aws.{module}")
    kinds = _types.resource_types(getattr(python, name))
    return {key: kind for key, kind in kinds.items() if get_origin(kind) is None or key == "nameServers"}


def _service(type_: str) -> str:
    return type_.split(":")[1].partition("/")[0]


def answer(token: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a look-up: all is offered, quotas are large and nothing uses them, images are there.

    Raises:
        UnansweredError: when there is no answer for the look-up.
    """
    name = token.rpartition(":")[2]
    if name not in _ANSWERS:
        raise UnansweredError(f"{token} has no answer offline: add one to infra/answers.py")
    return {**args, "id": name, **_ANSWERS[name](args)}


def _zones(args: Mapping[str, Any]) -> dict[str, Any]:
    region = args["region"]
    return {
        # N. California has three, of which an account sees two.
        "names": [f"{region}{letter}" for letter in ("ac" if region == "us-west-1" else "abc")],
        "zoneIds": [f"{region}-az{number}" for number in ((1, 3) if region == "us-west-1" else (1, 2, 3))],
    }


def _offers(args: Mapping[str, Any]) -> dict[str, Any]:
    asked = [value for filter_ in args.get("filters", []) for value in filter_["values"]]
    places = _zones(args)["names"] if args.get("locationType") == "availability-zone" else [args["region"]]
    pairs = [(kind, place) for kind in asked for place in places]
    return {
        "instanceTypes": [kind for kind, _ in pairs],
        "locations": [place for _, place in pairs],
        "locationTypes": [args.get("locationType", "region")] * len(pairs),
    }


def _orderable(args: Mapping[str, Any]) -> dict[str, Any]:
    preferred = args.get("preferredInstanceClasses") or [args.get("instanceClass", "")]
    return {"instanceClass": preferred[0]}


def _version(args: Mapping[str, Any]) -> dict[str, Any]:
    return {"version": args.get("version", "11.4"), "versionActual": args.get("version", "11.4")}


def _image(args: Mapping[str, Any]) -> dict[str, Any]:
    return {"ids": [f"image-in-{args['region']}"], "imageId": f"image-in-{args['region']}"}


_ANSWERS: Final[Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "getAvailabilityZones": _zones,
    "getAmi": _image,
    "getAmiIds": _image,
    "getEngineVersion": _version,
    "getInstanceTypeOfferings": _offers,
    "getOrderableDbInstance": _orderable,
    "getServiceQuota": lambda _: {"value": 10_000, "defaultValue": 10_000},
    # The root, in which every domain is.
    "getZone": lambda _: {"name": "."},
    "getVpcs": lambda _: {"ids": []},
    "getEips": lambda _: {"allocationIds": [], "publicIps": []},
    "getInstances": lambda _: {"ids": [], "instanceIdentifiers": []},
    "getCallerIdentity": lambda _: {"accountId": ACCOUNT},
    "getPartition": lambda _: {"partition": "aws", "dnsSuffix": "amazonaws.com"},
    "getRandomPassword": lambda _: {"randomPassword": "[secret]"},
}
