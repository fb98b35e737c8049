"""Asks AWS, before anything is declared, whether an architecture can be had.

What AWS says no to refuses the program. What it does not say (a permission is missing, the service does not
answer) is a warning: what lacks then shows while the stack is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws
from pulumi.runtime.sync_await import _sync_await

from infra import orders, quotas
from infra.architecture import SqlTier
from infra.errors import InfraError
from infra.hardware import Hardware, ordered_class, ordered_type
from infra.orders import Order
from infra.site import Site


class PreflightError(InfraError):
    """An architecture cannot be had as it is; `problems` has all that stands against it, with what to do."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "\n".join(["AWS cannot make this stack:", *(f"  {problem}" for problem in problems)])
        )


@dataclass(frozen=True)
class _NoAnswer:
    """AWS did not say, for the provider's `reason`."""

    reason: str


@dataclass(frozen=True)
class _Offer:
    """A type or class that a region has to offer, and what to use instead where it does not."""

    region: str
    ordered: str
    instead: str

    def __str__(self) -> str:
        return f"{self.ordered} in {self.region} (instead use {self.instead})"


def check_offers(site: Site) -> None:
    """Every machine has to be on offer in the regions that order it.

    An RDS class that is not found is only warned of: the provider does not tell a no from no answer.

    Raises:
        PreflightError: with every EC2 type that a region does not offer, and what to use instead.
    """
    a = site.architecture
    types = _offers(orders.instances(a), a.hardware, ordered_type)
    classes = _offers(orders.databases(a), a.hardware, ordered_class)
    regions = dict.fromkeys(offer.region for offer in types)
    answers = _ask(
        {region: _offerings(region, [o.ordered for o in types if o.region == region]) for region in regions}
        | {offer: _orderable(a.sql, offer) for offer in classes}
    )
    _warn(
        "AWS did not say whether it offers",
        {str(offer): answers[offer.region] for offer in types}
        | {str(offer): answers[offer] for offer in classes},
    )
    refused = [
        f"it does not offer {offer}"
        for offer in types
        if not isinstance(answer := answers[offer.region], _NoAnswer)
        and offer.ordered not in answer.instance_types
    ]
    if refused:
        raise PreflightError(refused)


def check_quotas(site: Site) -> None:
    """The account's quotas have to suffice for what this stack needs by itself at its largest.

    Raises:
        PreflightError: with every quota that is too small, and the request to file.
    """
    needed = quotas.requirements(site.architecture)
    answers = _ask(
        {
            requirement: aws.servicequotas.get_service_quota_output(
                service_code=requirement.quota.service,
                quota_code=requirement.quota.code,
                region=requirement.region,
            )
            for requirement in needed
        }
    )
    _warn(
        "AWS did not say how much it allows of",
        {f"{r.quota.name} in {r.region} ({r.needed} are needed)": answer for r, answer in answers.items()},
    )
    allowed = {r: answer.value for r, answer in answers.items() if not isinstance(answer, _NoAnswer)}
    if refused := quotas.missing(needed, allowed):
        raise PreflightError(refused)


def _offers(
    ordered: Sequence[Order], hardware: Hardware, named: Callable[[Hardware, str], str]
) -> tuple[_Offer, ...]:
    other: Hardware = "thesis" if hardware == "current" else "current"
    return tuple(
        dict.fromkeys(
            _Offer(o.region, named(hardware, o.kind), f"{named(other, o.kind)}: isochrone:hardware {other}")
            for o in ordered
        )
    )


def _offerings(region: str, types: Sequence[str]) -> pulumi.Output[aws.ec2.GetInstanceTypeOfferingsResult]:
    return aws.ec2.get_instance_type_offerings_output(
        filters=[aws.ec2.GetInstanceTypeOfferingsFilterArgs(name="instance-type", values=types)],
        location_type="region",
        region=region,
    )


def _orderable(sql: SqlTier, offer: _Offer) -> pulumi.Output[aws.rds.GetOrderableDbInstanceResult]:
    """The class for any version of the engine, unless the stack file names one down to its patch level.

    The preference is what makes the provider choose one where several versions have the class.
    """
    return aws.rds.get_orderable_db_instance_output(
        engine=sql.engine,
        engine_version=sql.engine_version if sql.engine_version.count(".") > 1 else None,
        instance_class=offer.ordered,
        preferred_instance_classes=[offer.ordered],
        region=offer.region,
    )


def _ask(questions: Mapping[Any, pulumi.Output[Any]]) -> dict[Any, Any]:
    """The answers to all questions, which are under way at the same time.

    The program goes on only when they are there, so that it can refuse before it declares anything. The SDK
    waits in the same way for its own look-ups, one at a time.
    """
    answers = [question.recover(lambda error: _NoAnswer(str(error))) for question in questions.values()]

    async def all_of_them() -> list[Any]:
        return list(await asyncio.gather(*(answer.future() for answer in answers)))

    return dict(zip(questions, _sync_await(all_of_them()), strict=True))


def _warn(what: str, answers: Mapping[str, Any]) -> None:
    silent = {name: answer.reason for name, answer in answers.items() if isinstance(answer, _NoAnswer)}
    if silent:
        pulumi.log.warn(f"{what}: {', '.join(silent)}; the first reason: {next(iter(silent.values()))}")
