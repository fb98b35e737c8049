"""Whether RDS offers the version of the SQL engine that an architecture names, and what to use instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from infra.architecture import SqlTier
from infra.asking import NoAnswer, ask

_NO: Final = re.compile(r"no RDS engine versions (found|match)|cannot find version", re.IGNORECASE)
"""How the provider, and RDS itself, say that there is no such version; any other error is no answer."""


@dataclass(frozen=True)
class Version:
    """A version that a region has to offer, and RDS's own choice, where that was asked."""

    region: str
    engine: str
    ordered: str
    default: str | None = None

    def __str__(self) -> str:
        instead = f" (instead use {self.default}: isochrone:sql.engine-version)" if self.default else ""
        return f"{self.engine} {self.ordered} in {self.region}{instead}"


def asked(sql: SqlTier, regions: Iterable[str]) -> tuple[list[Version], Mapping[str, NoAnswer]]:
    """The versions that RDS refuses, and what it did not say, by what was asked.

    A server that names no version of its own choice either, as a stand-in for AWS may, has not said anything.

    Args:
        sql: the servers.
        regions: those to ask; one that does not know the question may take minutes to say so.
    """
    answers = ask(
        {each: _version(each) for each in (wanted(sql, region) for region in dict.fromkeys(regions))}
    )
    silent = {str(each): answer for each, answer in answers.items() if isinstance(answer, NoAnswer)}
    denied = [each for each in answers if str(each) in silent and _NO.search(silent[str(each)].reason)]
    defaults = ask({each: _default(each) for each in denied})
    refused = {
        str(each): replace(each, default=".".join(answer.version_actual.split(".")[:2]))
        for each, answer in defaults.items()
        if not isinstance(answer, NoAnswer)
    }
    return [*refused.values()], {what: answer for what, answer in silent.items() if what not in refused}


def wanted(sql: SqlTier, region: str) -> Version:
    """The version that a region has to offer."""
    return Version(region, sql.engine, sql.engine_version)


def _version(each: Version) -> pulumi.Output[Any]:
    """The newest of the version's patch levels, of which the provider takes one only."""
    return aws.rds.get_engine_version_output(
        engine=each.engine, version=each.ordered, latest=True, region=each.region
    )


def _default(each: Version) -> pulumi.Output[Any]:
    return aws.rds.get_engine_version_output(engine=each.engine, default_only=True, region=each.region)
