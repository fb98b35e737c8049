"""Today's prices are AWS's own, dated and complete; without them a cost says that it is of 2015."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from typer.testing import CliRunner

from infra import price_commands
from infra.commands import ONLY_2015, preview_stack
from infra.cost import CostEstimate, estimate
from infra.earlier import earlier_preview
from infra.price_offers import questions
from infra.price_refresh import RefreshError, ask, refresh
from infra.prices import (
    PriceFileError,
    PriceList,
    UnknownPriceError,
    present_prices,
    price_list,
    prices_2015,
)
from infra.stackfile import load
from tests.infra.price_answers import ALL, answer, linux, pages, stubbed

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 3, 1)


@pytest.fixture(scope="module")
def file() -> Mapping[str, Any]:
    """A complete price file."""
    calls = (call for question in questions() for call in pages(question, answer(question)))
    with stubbed(calls) as client:
        return refresh(client, TODAY, questions()).complete()


@pytest.fixture(scope="module")
def today(file: Mapping[str, Any]) -> PriceList:
    return price_list(json.loads(json.dumps(file)))


def test_a_price_file_is_dated_names_its_source_and_has_what_that_of_2015_has(
    file: Mapping[str, Any],
) -> None:
    before = json.loads((ROOT / "infra" / "data" / "prices-2015.json").read_text(encoding="utf-8"))
    assert file["as_of"] == "2026-03-01"
    assert "AWS Price List API (AmazonEC2, AmazonRDS" in file["source"]
    assert "published until 2026-02-26" in file["source"]
    assert file.keys() >= before.keys() - {"rds_fallback"}


@pytest.mark.parametrize(("checks", "dollars"), [(0, 0.0), (16, 32.0), (50, 100.0), (60, 125.0)])
def test_health_checks_beyond_the_free_ones_are_paid_for(
    today: PriceList, checks: int, dollars: float
) -> None:
    assert today.health_checks_month(checks, options=2) == dollars


def test_all_pages_of_an_answer_are_read() -> None:
    question = ALL["ec2_per_hour", "eu-west-1", "m6i.xlarge"]
    first, second = linux("EU-UnusedBox:m6i.xlarge", "0.2"), linux("EU-BoxUsage:m6i.xlarge", "0.214")
    with stubbed(pages(question, [first], [], [second])) as client:
        assert list(ask(client, question)) == [first, second]


def test_what_has_no_price_is_named_all_at_once() -> None:
    asked = [ALL["ec2_per_hour", "sa-east-1", kind] for kind in ("m2.xlarge", "m3.xlarge", "m6i.xlarge")]
    answers = [[], [], answer(asked[2])]
    calls = (call for question, found in zip(asked, answers, strict=True) for call in pages(question, found))
    with stubbed(calls) as client:
        found = refresh(client, TODAY, asked)
    with pytest.raises(
        RefreshError, match=r"(?s)m2\.xlarge in sa-east-1\n.*m3\.xlarge in sa-east-1\n"
    ) as raised:
        found.complete()
    assert "m6i.xlarge" not in str(raised.value)
    assert found.data["ec2_per_hour"]["sa-east-1"].keys() == {"m6i.xlarge"}


def test_a_refusal_of_aws_says_what_was_asked() -> None:
    question = ALL["ec2_per_hour", "eu-west-1", "m6i.xlarge"]
    client = boto3.client(
        "pricing", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    with Stubber(client) as stubber:
        stubber.add_client_error(
            "get_products", "AccessDeniedException", "not authorized to pricing:GetProducts"
        )
        with pytest.raises(RefreshError, match=r"about m6i\.xlarge in eu-west-1: .*pricing:GetProducts"):
            list(ask(client, question))


def costs(stack: str, prices: PriceList, **changes: Any) -> CostEstimate:
    return estimate(replace(load(stack, ROOT), **changes), prices)


@pytest.mark.parametrize("hardware", ["thesis", "current"])
def test_today_s_prices_are_those_of_what_is_ordered(today: PriceList, hardware: str) -> None:
    items = {item.what: item for item in costs("geo-i", today, hardware=hardware).items}
    ordered = {
        "thesis": ("node m3.xlarge", "core m3.medium", "redis m2.xlarge", "sql db.r5.4xlarge"),
        "current": ("node m6i.xlarge", "core t3.medium", "redis r6i.large", "sql db.r6i.4xlarge"),
    }[hardware]
    assert set(ordered) <= items.keys()
    for what in ordered:
        kind = what.split()[-1]
        listed = today.rds_per_hour if kind.startswith("db.") else today.ec2_per_hour
        assert items[what].usd_per_hour == listed[items[what].region][kind]


def test_nothing_is_estimated_from_today_s_prices(today: PriceList) -> None:
    for hardware in ("thesis", "current"):
        notes = costs("geo-ii", today, hardware=hardware).notes
        assert len(notes) == 1
        assert notes[0].startswith("prices of 2026-03-01, without data transfer, public addresses")
    assert costs("geo-ii", today, sql=replace(load("geo-ii", ROOT).sql, engine="mysql")).notes[1:] == (
        "MySQL is priced as MariaDB",
    )


def test_a_machine_without_a_price_today_is_an_error_that_names_it(today: PriceList) -> None:
    without = replace(today, ec2_per_hour={**today.ec2_per_hour, "eu-west-1": {"m3.xlarge": 1.0}})
    with pytest.raises(UnknownPriceError, match=r"2026-03-01 have none for c6i\.8xlarge in eu-west-1"):
        costs("baseline", without, hardware="current")
    with pytest.raises(UnknownPriceError, match=r"none for m3\.medium in eu-west-1"):
        costs("geo-i", without)
    without = replace(today, rds_per_hour={**today.rds_per_hour, "us-east-1": {}})
    with pytest.raises(UnknownPriceError, match=r"none for db\.t3\.medium in us-east-1"):
        costs("geo-ii", without)


def test_a_disk_without_a_price_today_is_an_error_that_names_it(file: Mapping[str, Any]) -> None:
    without = price_list({**file, "gp3_gb_month": {"us-east-1": 0.08}})
    with pytest.raises(UnknownPriceError, match="a gp3 disk in eu-west-1: isochrone prices refresh"):
        costs("baseline", without)


def test_a_root_volume_pays_for_operations_beyond_gp3_s_own(today: PriceList) -> None:
    price = today.disks["gp3"]
    gb, operation = (each.at("eu-west-1", "") for each in (price.gb_month, price.iops_month))
    assert today.disk_month("eu-west-1", "gp3", 140, 4000) == pytest.approx(140 * gb + 1000 * operation)
    assert today.disk_month("eu-west-1", "gp3", 140, 3000) == pytest.approx(140 * gb)
    assert today.disk_month("eu-west-1", "gp3", 20, None) == pytest.approx(20 * gb)


def test_redis_and_sql_pay_for_io1_in_their_own_region(file: Mapping[str, Any]) -> None:
    told = {
        **file,
        "ebs_gb_month": {"eu-west-1": 1.0},
        "ebs_iops_month": {"eu-west-1": 0.0},
        "rds_gb_month": {"default": 3.0, "sa-east-1": 5.0},
        "rds_iops_month": {"default": 0.0},
    }
    items = [item for item in costs("geo-ii", price_list(told)).items if item.what.endswith("disk")]
    month = {(item.what, item.region): item.usd_per_hour * 730 for item in items}
    assert month["redis disk", "eu-west-1"] == pytest.approx(140)
    assert month["sql disk", "eu-west-1"] == pytest.approx(300)
    assert month["sql replica disk", "sa-east-1"] == pytest.approx(500)


def test_health_checks_are_those_of_every_address(today: PriceList) -> None:
    items = {item.what: item for item in costs("geo-i", today).items}
    assert items["health checks"].usd_per_hour * 730 == pytest.approx(8 * 2 * 2 * 1.0)
    assert items["dns"].usd_per_hour == pytest.approx(0.5 / 730)


def test_the_preview_takes_today_s_prices_when_it_is_given_them(today: PriceList) -> None:
    told = preview_stack("baseline", ROOT, {}, today).as_json()
    assert not [note for note in told["cost_notes"] if "2015" in note]
    assert told["cost_per_hour"] == pytest.approx(costs("baseline", today).usd_per_hour, abs=1e-4)
    assert told["exports"]["cost_per_hour"] == pytest.approx(told["cost_per_hour"], abs=1e-3)


def test_the_preview_without_them_says_that_only_those_of_2015_are_known() -> None:
    assert preview_stack("baseline", ROOT, {}).as_json()["cost_notes"][0] == ONLY_2015


def test_today_s_prices_are_read_beside_the_stack_files(tmp_path: Path, file: Mapping[str, Any]) -> None:
    assert present_prices(tmp_path) is None
    (tmp_path / "prices.json").write_text(json.dumps(file), encoding="utf-8")
    assert present_prices(tmp_path) == price_list(file)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"as_of": "2026-03-01"}', '{"as_of": 1, "source": 2, "ec2_per_hour": 3}']
)
def test_a_file_that_has_no_prices_is_refused_with_the_way_to_write_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "prices.json").write_text(text, encoding="utf-8")
    with pytest.raises(PriceFileError, match=r"prices\.json .*`isochrone prices refresh`"):
        present_prices(tmp_path)


@pytest.mark.parametrize("now", [True, False])
def test_an_earlier_commit_is_priced_at_the_prices_of_now(tmp_path: Path, now: bool) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True, capture_output=True)

    (tmp_path / "infra").mkdir()
    (tmp_path / "infra" / "__init__.py").write_text("")
    (tmp_path / "infra" / "commands.py").write_text(
        "from pathlib import Path\n"
        "def preview(stack: str, json: bool = False, stacks: Path = Path()):\n"
        "    path = stacks / 'prices.json'\n"
        "    print(path.read_text() if path.exists() else '{}')\n"
    )
    (tmp_path / "Pulumi.geo-i.yaml").write_text("config: {}")
    (tmp_path / "prices.json").write_text('{"as_of": "then"}')
    git("init", "-q")
    git("add", "-A")
    git("-c", "user.name=x", "-c", "user.email=x@x.example", "commit", "-q", "-m", "then")
    if now:
        (tmp_path / "prices.json").write_text('{"as_of": "now"}')
    else:
        (tmp_path / "prices.json").unlink()
    assert earlier_preview("HEAD", "geo-i", (), tmp_path) == ({"as_of": "now"} if now else {})


def test_2015_has_one_price_for_all_disks_and_all_of_dns() -> None:
    prices = prices_2015()
    assert prices.disk_month("sa-east-1", "gp3", 140, 4000) == pytest.approx(140 * 0.138 + 4000 * 0.072)
    assert prices.health_checks_month(16, options=2) == 0


def test_data_transfer_is_known_by_the_region_that_it_leaves() -> None:
    between = prices_2015().inter_region_gb
    assert (between.at("us-east-1", ""), between.at("ap-southeast-2", "")) == (0.02, 0.098)


def test_the_command_writes_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [ALL["ec2_per_hour", "eu-west-1", "m6i.xlarge"], ALL[("route53_per_hour",)]]
    monkeypatch.setattr(price_commands, "questions", lambda: asked)
    out = tmp_path / "prices.json"
    with stubbed(call for question in asked for call in pages(question, answer(question))) as client:
        monkeypatch.setattr(price_commands, "pricing_client", lambda: client)
        done = CliRunner().invoke(price_commands.app, ["refresh", "--out", str(out)])
    assert done.exit_code == 0, done.stderr
    written = json.loads(out.read_text(encoding="utf-8"))
    assert written["as_ordered"] is True
    assert written["ec2_per_hour"] == {"eu-west-1": {"m6i.xlarge": 0.15}}


@pytest.mark.parametrize("incomplete", [False, True])
def test_the_command_writes_an_incomplete_file_only_when_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, incomplete: bool
) -> None:
    asked = [ALL["ec2_per_hour", "eu-west-1", "m2.xlarge"]]
    monkeypatch.setattr(price_commands, "questions", lambda: asked)
    out = tmp_path / "prices.json"
    with stubbed(pages(asked[0], [])) as client:
        monkeypatch.setattr(price_commands, "pricing_client", lambda: client)
        options = ["--incomplete"] * incomplete
        done = CliRunner().invoke(price_commands.app, ["refresh", "--out", str(out), *options])
    assert "m2.xlarge in eu-west-1" in done.stderr
    assert (done.exit_code == 0, out.exists()) == (incomplete, incomplete)


def test_without_credentials_the_command_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    done = CliRunner().invoke(price_commands.app, ["refresh", "--out", str(tmp_path / "prices.json")])
    assert done.exit_code == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "your credentials, and there are none" in done.stderr
    assert not list(tmp_path.iterdir())
