"""The HTML report: complete, self-contained, escaped, and whole when parts of the result are missing."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from bench import html, picture, stored
from bench.commands import app
from bench.places import PLACES
from bench.result import (
    ArchitectureResult,
    Broadcasts,
    Curve,
    Elasticity,
    Generator,
    Latency,
    Ledger,
    Meters,
    Range,
    Result,
    Spread,
    Summary,
    Users,
    encode,
)
from tests.bench.synthetic import REGIONS, RUN, architecture_result, comparison

NOTHING = Range(None, None, None)
EMPTY = ArchitectureResult(
    users=Users(0, 0, 0, 0),
    latency_ms={name: Latency(Summary(0), {}) for name in ("handshake", "read", "prediction", "broadcast")},
    broadcasts=Broadcasts(0, 0, 0),
    broadcast_spread_ms=Spread(None, None, None),
    errors={},
    ledger=Ledger(0, 0, 0, 0, True),
    meters=Meters(NOTHING, NOTHING, NOTHING, NOTHING, None, Elasticity(None, None)),
    cost_per_hour=0.0,
    generator=Generator(None, False),
)
BLANK = replace(EMPTY, latency_ms={})


class Page(HTMLParser):
    """The page's text and elements; a closing tag that does not match is a failure."""

    VOID = frozenset({"meta", "br", "hr", "img", "input", "link"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "title"} & set(self.open):
            self.words.append(data)

    def count(self, tag: str, kind: str) -> int:
        return sum(
            name == tag and kind in (attributes.get("class") or "").split()
            for name, attributes in self.elements
        )


def page(result: Result) -> Page:
    return Page(html.render(result))


def test_the_first_screen_says_what_was_run_and_answers_each_quantity() -> None:
    first = page(comparison(control=True)).text.split("The figures")[0]
    assert "2,400 users spread over 8 regions" in first
    assert RUN.command in first
    for headline in (
        "Handshakes Faster in geo-i and geo-ii",
        "Reads Faster in geo-ii only, equal in geo-i",
        "Predictions Equal everywhere",
        "Broadcasts Equal everywhere",
        "Blocking database calls Collapse of geo-i and geo-ii",
    ):
        assert headline in first


@pytest.mark.parametrize(
    "heading",
    [
        "How latencies are distributed",
        "Region by region",
        "Where users are sent and read",
        "The control: what blocking database calls do",
        "The scalability meters",
        "What the machines used",
        "What the thesis published",
        "What the lab does not model",
    ],
)
def test_every_section_is_there(heading: str) -> None:
    assert heading in page(comparison(control=True)).text


def test_the_thesis_is_quoted_apart_and_with_the_reason_of_its_collapse() -> None:
    found = page(comparison()).text.split("What the thesis published")[1]
    for figure in ("23,999", "13,023", "15,767", "1,632.2", "406,878", "$6.86", "collapsed", "blocking"):
        assert figure in found


def test_the_page_needs_nothing_else_and_is_small() -> None:
    found = html.render(comparison(control=True))
    assert len(found.encode()) < 1_500_000
    assert not re.search(r"https?://|<script|<link|<img|@import|url\(|\bsrc=", found)


def test_every_picture_has_a_text_alternative() -> None:
    for tag, attributes in page(comparison(control=True)).elements:
        if tag == "svg":
            assert attributes.get("aria-label") or attributes.get("aria-hidden") == "true"


def test_ids_are_unique_and_sections_are_labelled_by_them() -> None:
    elements = page(comparison(control=True)).elements
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    labels = [attributes["aria-labelledby"] for tag, attributes in elements if tag == "section"]
    assert set(labels) <= set(ids)


def test_there_is_a_line_per_architecture_and_quantity() -> None:
    found = page(comparison())
    lines = sum(tag == "path" and "curve" in (a.get("class") or "").split() for tag, a in found.elements)
    assert lines == 4 * 3


def test_there_is_a_polygon_per_architecture_and_meter() -> None:
    assert page(comparison()).count("path", "area") == 4 * 3


def test_medians_are_the_mean_of_the_regions_everywhere() -> None:
    run = architecture_result("baseline")
    regions = {"eu-west-1": Summary(2, p50=100.0), "us-east-1": Summary(3, p50=146.8)}
    read = Latency(Summary(5, p50=8888.0, p98=4567.8), regions)
    made = replace(run, latency_ms={"read": read}, curves={})
    found = page(Result(1, {"baseline": made}, RUN, {"baseline": made}))
    labels = " ".join(attributes.get("aria-label") or "" for _, attributes in found.elements)
    assert found.text.count("123 / 4,568") == 2
    assert "Reads baseline 123 ms and 4.57 s" in labels
    assert "Reads baseline, blocking 123 ms and 4.57 s" in labels
    assert "8,888" not in found.text + labels
    assert "A dot is the mean of the regions' medians" in found.text


def test_what_the_cost_rests_on_stands_under_the_figures() -> None:
    run = replace(architecture_result("geo-i"), cost_notes=["prices of 2015-11-09", "m3.medium estimated"])
    figures = page(Result(1, {"geo-i": run}, RUN)).text.split("The figures")[1]
    assert "disks, monitoring and DNS. Prices of 2015-11-09 ; m3.medium estimated." in figures


def test_the_lab_says_that_each_architecture_was_run_once() -> None:
    limits = page(comparison()).text.split("What the lab does not model")[1]
    assert "Each architecture was run once, one after the other" in limits


def test_every_region_has_its_median_and_its_floor() -> None:
    found = page(comparison()).text.split("Region by region")[1]
    for region in REGIONS:
        assert found.count(PLACES[region].name) >= 4
    assert "931 929" in found


def test_a_comparison_that_was_cut_short_says_first_what_is_missing() -> None:
    cut = replace(comparison(), missing=["geo-i (blocking)", "geo-ii (blocking)"])
    first = page(cut).text.split("The figures")[0]
    assert "Incomplete. Not run: geo-i (blocking) and geo-ii (blocking)." in first
    assert "Incomplete" not in page(comparison()).text


def test_a_run_that_cannot_be_trusted_says_so_first() -> None:
    runs = dict(comparison().architectures)
    runs["geo-i"] = replace(runs["geo-i"], ledger=replace(runs["geo-i"].ledger, missing=3, balanced=False))
    first = page(replace(comparison(), architectures=runs)).text.split("The figures")[0]
    assert "Read the answers with care. geo-i: Ledger" in first
    assert "Read the answers with care" not in page(comparison()).text


@pytest.mark.parametrize(
    "result",
    [
        Result(1, {}),
        Result(1, {"baseline": EMPTY}),
        Result(1, {"baseline": BLANK}, RUN, {"baseline": BLANK}),
        Result(1, {"geo-ii": architecture_result("geo-ii")}, RUN),
        Result(1, {"baseline": architecture_result("baseline"), "geo-i": EMPTY}, RUN),
        Result(1, {f"design-{i}": architecture_result("geo-i") for i in range(8)}, RUN),
        Result(
            1, {"baseline": architecture_result("baseline")}, RUN, {"geo-i": architecture_result("geo-i")}
        ),
        Result(
            1, {"a": replace(architecture_result("geo-i"), curves={}, roles={}, regions={}, meter_inputs={})}
        ),
        Result(1, {"a": replace(EMPTY, meter_inputs={"crum": "?"}, curves={"read": Curve([], [])})}),
        Result(1, {"a": replace(EMPTY, curves={"read": Curve([0.0, 0.0], [0.5, 1.0])})}),
    ],
    ids=["none", "empty", "blank", "one", "partly", "eight", "control-of-another", "bare", "broken", "zeros"],
)
def test_partial_results_render(result: Result, tmp_path: Path) -> None:
    assert "What the lab does not model" in page(result).text
    picture.summary_png(result, tmp_path / "summary.png")


def test_regions_beyond_the_eight_are_shown_by_their_code() -> None:
    run = architecture_result("geo-i")
    latency = run.latency_ms["read"]
    more = replace(latency, by_region={**latency.by_region, "eu-central-1": Summary(1, p50=20, p98=30)})
    regions = {**run.regions, "eu-central-1": replace(run.regions["eu-west-1"], resolves_to="eu-central-1")}
    found = page(Result(1, {"x": replace(run, latency_ms={**run.latency_ms, "read": more}, regions=regions)}))
    assert "eu-central-1" in found.text


def test_whatever_stands_in_the_result_is_escaped() -> None:
    evil = '<script>alert("1")</script>&amp;$x$'
    run = replace(
        architecture_result("geo-i"),
        title=evil,
        errors={evil: 1},
        generator=Generator(1.0, True, 0.5, [evil]),
        roles={evil: next(iter(architecture_result("geo-i").roles.values()))},
        regions={evil: next(iter(architecture_result("geo-i").regions.values()))},
    )
    about = replace(RUN, machine=evil, command=evil, version=evil, home=evil, matrix=evil, started_at=evil)
    found = html.render(Result(1, {evil: run, "geo-i": run}, about, {evil: run}))
    assert "<script" not in found
    assert evil in Page(found).text


def test_the_picture_for_the_readme_is_1200_pixels_wide(tmp_path: Path) -> None:
    path = tmp_path / "summary.png"
    picture.summary_png(comparison(control=True), path)
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG")
    assert int.from_bytes(data[16:20], "big") == 1200


def test_the_command_prints_the_table_and_writes_the_page(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_bytes(encode(comparison(control=True)))
    assert stored.load(file) == comparison(control=True)
    for options, target in (
        ([], tmp_path / "report.html"),
        (["--out", str(tmp_path / "x.html")], tmp_path / "x.html"),
    ):
        result = CliRunner().invoke(app, ["report", str(file), *options])
        assert result.exit_code == 0, result.output
        assert str(target) in result.stdout
        assert "Predictions: equal everywhere" in result.stdout
        assert target.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("content", "about"),
    [
        (None, "cannot be read"),
        (b"", "is not the result of a comparison"),
        (b'{"schema": 1}', "is not the result of a comparison"),
        (b'{"schema": 7, "architectures": {}}', "has schema 7"),
    ],
)
def test_a_file_that_is_no_result_is_said_to_be_none(
    tmp_path: Path, content: bytes | None, about: str
) -> None:
    file = tmp_path / "result.json"
    if content is not None:
        file.write_bytes(content)
    result = CliRunner().invoke(app, ["report", str(file)])
    assert result.exit_code == 2
    assert about in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "report.html").exists()


def test_figures_that_nobody_measured_are_refused(tmp_path: Path) -> None:
    run = architecture_result("geo-i")
    read = replace(run.latency_ms["read"], all=replace(run.latency_ms["read"].all, p50=1.7e308))
    file = tmp_path / "result.json"
    file.write_bytes(encode(Result(1, {"geo-i": replace(run, latency_ms={"read": read})})))
    result = CliRunner().invoke(app, ["report", str(file)])
    assert result.exit_code == 2
    assert "1.7e+308 cannot have been measured" in result.stderr
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("option", ["--out", "--picture"])
def test_an_empty_name_is_no_place_to_write_to(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "result.json"
    file.write_bytes(encode(comparison()))
    result = CliRunner().invoke(app, ["report", str(file), option, ""])
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr
    assert isinstance(result.exception, SystemExit)
    assert not list(tmp_path.glob(".*"))


def test_a_page_that_cannot_be_written_is_said_to_be_so(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_bytes(encode(comparison()))
    result = CliRunner().invoke(app, ["report", str(file), "--out", str(tmp_path / "no" / "x.html")])
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_the_command_draws_the_picture_of_a_stored_result(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes(encode(comparison()))
    arguments = ["report", str(tmp_path / "result.json"), "--picture", str(tmp_path / "picture.png")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes(encode(comparison()))
    arguments = ["report", str(tmp_path / "result.json"), "--picture", str(tmp_path / "no/picture.png")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert "no/picture.png: cannot be written" in done.output
