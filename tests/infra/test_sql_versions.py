"""A version of SQL that RDS does not offer refuses the program; where nobody says, it is a warning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from infra.architecture import Architecture
from infra.preflight import PreflightError, check_offers
from infra.stackfile import load
from tests.infra.answering import NO_CLASS, NO_VERSION, SILENT, Account, Answer, offering
from tests.infra.components import ROOT

HOME = "eu-west-1"
# Of the provider's own modules, when they are first imported.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pulumi_aws")


def architecture(stack: str) -> Architecture:
    return load(stack, ROOT)


def test_a_version_that_rds_does_not_offer_is_refused_with_types_and_classes_and_what_to_use_instead() -> (
    None
):
    account = Account(offering(without=("m2.xlarge", "db.r5.4xlarge", "10.11")))
    with pytest.raises(PreflightError) as caught:
        account.preview(architecture("geo-i"), check_offers)
    assert caught.value.problems[1:] == (
        f"it does not offer db.r5.4xlarge in {HOME} (instead use db.r6i.4xlarge: isochrone:hardware current)",
        f"it does not offer mariadb 10.11 in {HOME} (instead use 11.4: isochrone:sql.engine-version)",
    )
    assert (account.declared, account.warnings) == ([], [])


def test_each_region_with_a_server_is_asked_for_the_version() -> None:
    account = Account(offering(without=("10.11",)))
    with pytest.raises(PreflightError) as caught:
        account.preview(architecture("geo-ii"), check_offers)
    assert len(caught.value.problems) == 1 + 5


@pytest.mark.parametrize("said", [NO_CLASS, ({}, [("", "Cannot find version 10.11.99 for mariadb")])])
def test_a_patch_level_that_there_is_not_is_no_lack_of_classes(said: Answer) -> None:
    def answer(token: str, args: Mapping[str, Any]) -> Answer:
        return said if args.get("engineVersion") else offering(without=("10.11.99",))(token, args)

    a = architecture("geo-i")
    account = Account(answer)
    with pytest.raises(PreflightError) as caught:
        account.preview(replace(a, sql=replace(a.sql, engine_version="10.11.99")), check_offers)
    (problem,) = caught.value.problems
    assert "mariadb 10.11.99 in eu-west-1 (instead use 11.4" in problem
    assert account.warnings == []


@pytest.mark.parametrize("silent", [SILENT, NO_VERSION])
def test_a_version_of_which_nothing_is_said_is_warned_of(silent: Answer) -> None:
    """Also where no version at all is known: that is a stand-in for AWS."""
    account = Account(
        lambda token, args: silent if token.endswith("getEngineVersion") else offering()(token, args)
    )
    account.preview(architecture("geo-i"), check_offers)
    assert account.declared == ["after"]
    (warning,) = account.warnings
    assert warning.startswith(
        "AWS did not say whether it offers: mariadb 10.11 in eu-west-1; the first reason"
    )


@pytest.mark.parametrize("classes", [SILENT, NO_CLASS])
def test_who_knows_no_class_is_not_asked_for_a_version(classes: Answer) -> None:
    """moto's answer to that is an error, which the provider waits out for minutes."""
    account = Account(
        lambda token, args: classes if token.endswith("getOrderableDbInstance") else offering()(token, args)
    )
    account.preview(architecture("geo-i"), check_offers)
    assert "getEngineVersion" not in [name for name, _ in account.asked]
    (warning,) = account.warnings
    assert "mariadb 10.11 in eu-west-1" in warning


def test_moto_knows_no_class_as_long_as_it_knows_no_version() -> None:
    with mock_aws():
        rds = boto3.client("rds", HOME, aws_access_key_id="testing", aws_secret_access_key="testing")
        for engine in ("mariadb", "mysql"):
            classes = rds.describe_orderable_db_instance_options(Engine=engine)["OrderableDBInstanceOptions"]
            if classes:
                assert rds.describe_db_engine_versions(Engine=engine)["DBEngineVersions"]
