"""Asks AWS, before anything is declared, whether an architecture can be had.

What AWS says no to refuses the program. What it does not say (a permission is missing, the service does not
answer) is a warning: what lacks then shows while the stack is made.
"""

from __future__ import annotations

from collections.abc import Sequence

import pulumi_aws as aws

from infra import delegation, offers, quotas, usage, zones
from infra.asking import NoAnswer, ask, warn
from infra.errors import InfraError
from infra.site import Site


class PreflightError(InfraError):
    """An architecture cannot be had as it is; `problems` has all that stands against it, with what to do."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "\n".join(["AWS cannot make this stack:", *(f"  {problem}" for problem in problems)])
        )


def check_offers(site: Site) -> None:
    """Every machine and every SQL server has to be on offer in the regions that order it.

    Raises:
        PreflightError: with every EC2 type, RDS class and SQL version that a region does not offer, and what
            to use instead.
    """
    if refused := offers.refusals(site):
        raise PreflightError(refused)


def check_zones(site: Site) -> None:
    """Every region has to have as many availability zones as its network spans.

    Raises:
        PreflightError: with every region that has too few, and what to do.
    """
    if refused := zones.refusals(site):
        raise PreflightError(refused)


def check_domain(site: Site) -> None:
    """The stack's domain has to lie in the hosted zone that the stack file names, if it names one.

    Raises:
        PreflightError: when there is no such zone, or it has another domain.
    """
    if refused := delegation.refusals(site):
        raise PreflightError(refused)


def check_quotas(site: Site) -> None:
    """The account's quotas have to suffice for the stack at its largest, beside what it uses already.

    Raises:
        PreflightError: with every quota that is too small, and the request to file.
    """
    needed = quotas.requirements(site.architecture)
    answers = ask(
        {
            requirement: aws.servicequotas.get_service_quota_output(
                service_code=requirement.quota.service,
                quota_name=requirement.quota.name,
                region=requirement.region,
            )
            for requirement in needed
        }
    )
    warn(
        "AWS did not say how much it allows of",
        {f"{r.quota.name} in {r.region} ({r.needed} are needed)": answer for r, answer in answers.items()},
    )
    allowed = {r: answer.value for r, answer in answers.items() if not isinstance(answer, NoAnswer)}
    if refused := quotas.missing(needed, allowed, usage.by_others(site, tuple(allowed))):
        raise PreflightError(refused)
