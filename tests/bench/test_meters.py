"""The meters: formulas against the thesis's published figures, and `isochrone meters FILE`."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from bench import meter_file, meters
from bench.commands import app

GEO_I_CRUM_INPUTS = {
    "min": (0.16, 3.69206, 14.58213),
    "avg": (4.72781, 3.96222, 14.58421),
    "max": (5.45352, 4.00332, 14.58616),
}
GEO_I_SLM = 0.146401624445

radius = st.floats(min_value=1e-3, max_value=1e4)
radii = st.lists(radius, min_size=3, max_size=9)


@pytest.mark.parametrize(("point", "area"), [("min", 24.579), ("avg", 62.990), ("max", 69.183)])
def test_crum_of_geo_i(point: str, area: float) -> None:
    assert meters.crum(*GEO_I_CRUM_INPUTS[point]) == pytest.approx(area, abs=5e-4)


def test_slm_of_geo_i() -> None:
    assert meters.slm(13023, 589923, 349784, 23514, 2343338) == pytest.approx(GEO_I_SLM, abs=5e-13)


def test_spm_of_geo_i() -> None:
    assert meters.spm(293, 90987, 1549675, 24822428, 33448732) == pytest.approx(359.07, rel=5e-4)


@pytest.mark.parametrize(
    ("spm", "crum", "sec", "rel"),
    [
        (0.00001587246803, 24.745, 1.8134164845, 1e-4),
        (359.06940249, 63.0451431781, 11349.678, 1e-6),
        (857.091315098, 69.027, 29649.0171593, 1e-6),
    ],
)
def test_sec_of_geo_i_takes_the_meters_own_minimum_and_maximum(
    spm: float, crum: float, sec: float, rel: float
) -> None:
    assert meters.sec(GEO_I_SLM, spm, crum, 6.864) == pytest.approx(sec, rel=rel)


def test_ess_and_esr_of_geo_i() -> None:
    least, most = 1.8134164845, 29649.0171593
    assert meters.ess(0.00001587246803, 857.091315098, least, most) == pytest.approx(0.02890968, abs=5e-9)
    assert meters.esr_difference(least, most) == pytest.approx(29647.20, abs=5e-3)
    assert meters.esr_ratio(least, most) == pytest.approx(16349.81, abs=5e-3)


def test_the_literatures_meters_are_triangles() -> None:
    triangle = meters.polygon_area((2, 3, 5))
    assert triangle == pytest.approx(math.sqrt(3) / 4 * (6 + 15 + 10))
    for meter in (meters.cram, meters.scm, meters.slm_triangle, meters.sec_triangle):
        assert meter(2, 3, 5) == triangle


def test_ess_as_defined_compares_growth_of_load_with_growth_of_capacity() -> None:
    assert meters.ess_defined(30, 10, 60, 30) == pytest.approx(1.5)
    with pytest.raises(meters.MeterError, match="above zero"):
        meters.ess_defined(30, 0, 60, 30)


@pytest.mark.parametrize(
    ("corners", "area"),
    [
        ((2, 2, 2, 2), 8.0),
        ((1, 1, 1, 1, 1, 1), 3 * math.sqrt(3) / 2),
        ((1, 0, 1, 0), 0.0),
    ],
)
def test_areas_that_geometry_knows(corners: tuple[float, ...], area: float) -> None:
    assert meters.polygon_area(corners) == pytest.approx(area)


@given(radii)
def test_the_area_is_the_shoelace_formulas(corners: list[float]) -> None:
    n = len(corners)
    points = [
        (r * math.cos(2 * math.pi * i / n), r * math.sin(2 * math.pi * i / n)) for i, r in enumerate(corners)
    ]
    shoelace = math.fsum(
        x * points[(i + 1) % n][1] - points[(i + 1) % n][0] * y for i, (x, y) in enumerate(points)
    )
    assert meters.polygon_area(corners) == pytest.approx(shoelace / 2, rel=1e-6, abs=1e-6)


@given(radii, st.floats(min_value=0.01, max_value=100))
def test_the_area_grows_with_the_square_of_the_scale(corners: list[float], scale: float) -> None:
    scaled = meters.polygon_area([r * scale for r in corners])
    assert scaled == pytest.approx(scale**2 * meters.polygon_area(corners))
    assert meters.polygon_area(corners, [scale] * len(corners)) == pytest.approx(scaled)


@given(radii, st.integers(min_value=0, max_value=8))
def test_turning_or_mirroring_the_inputs_leaves_the_area(corners: list[float], turn: int) -> None:
    turn %= len(corners)
    area = meters.polygon_area(corners)
    assert meters.polygon_area(corners[turn:] + corners[:turn]) == pytest.approx(area)
    assert meters.polygon_area(corners[::-1]) == pytest.approx(area)


def test_the_order_of_more_than_three_inputs_matters() -> None:
    assert meters.polygon_area((1, 2, 3, 4)) != meters.polygon_area((1, 3, 2, 4))


@given(radius, radius, radius, st.floats(min_value=1.001, max_value=10))
def test_slower_is_never_a_higher_performance(b: float, r: float, h: float, factor: float) -> None:
    fast = meters.spm(b, r, h, 1e6, 2e6)
    assert meters.spm(b * factor, r * factor, h * factor, 1e6, 2e6) < fast


@pytest.mark.parametrize(
    "call",
    [
        lambda: meters.polygon_area((1, 2)),
        lambda: meters.polygon_area((1, 2, -3)),
        lambda: meters.polygon_area((1, 2, math.nan)),
        lambda: meters.polygon_area((1, 2, 3), (1, 1)),
        lambda: meters.polygon_area((1e200, 1e200, 1e200)),
        lambda: meters.spm(0, 1, 1, 1, 1),
        lambda: meters.spm(1, math.inf, 1, 1, 1),
        lambda: meters.sec(1, 1, 1, 0),
        lambda: meters.ess(1, 2, 3, 3),
        lambda: meters.esr_ratio(0, 3),
    ],
)
def test_what_has_no_meaning_is_an_error(call: Callable[[], float]) -> None:
    with pytest.raises(meters.MeterError):
        call()


PUBLISHED = {
    "crum": {"min": 24.745, "avg": 63.0451431781, "max": 69.027},
    "spm": {"min": 0.00001587246803, "avg": 359.06940249, "max": 857.091315098},
    "slm": {
        "connections": 13023,
        "requests": 589923,
        "redis_hits": 349784,
        "redis_misses": 23514,
        "mysql_queries": 2343338,
    },
    "cost_per_hour": 6.864,
}


def computed(data: object) -> dict[str, Any]:
    return meter_file.compute(meter_file.parse(json.dumps(data)))


def mistakes(text: str) -> tuple[str, ...]:
    with pytest.raises(meter_file.InputError) as caught:
        meter_file.parse(text)
    return caught.value.mistakes


def test_a_file_with_the_published_geo_i_meters() -> None:
    found = computed(PUBLISHED)
    assert found["slm"] == pytest.approx(GEO_I_SLM, abs=5e-13)
    assert found["crum"] == PUBLISHED["crum"]
    assert found["cost_per_hour"] == 6.864
    assert found["sec"]["min"] == pytest.approx(1.8134164845, rel=1e-4)
    assert found["sec"]["avg"] == pytest.approx(11349.678, rel=1e-6)
    assert found["sec"]["max"] == pytest.approx(29649.0171593, rel=1e-6)
    assert found["ess"] == pytest.approx(0.02890968, rel=2e-6)
    assert found["esr"]["difference"] == pytest.approx(29647.20, abs=2e-2)
    assert found["esr"]["ratio"] == pytest.approx(16349.81, rel=1e-4)


def test_ranges_of_inputs_give_a_range_and_numbers_a_number() -> None:
    names = ("cpu", "memory", "disk")
    ranged = {
        name: {point: GEO_I_CRUM_INPUTS[point][i] for point in GEO_I_CRUM_INPUTS}
        for i, name in enumerate(names)
    }
    found = computed({"crum": ranged})["crum"]
    assert [found[point] for point in ("min", "avg", "max")] == pytest.approx(
        [24.579, 62.990, 69.183], abs=5e-4
    )
    assert computed({"crum": ranged | {"disk": 14.58421}})["crum"]["avg"] == pytest.approx(62.990, abs=5e-4)
    assert computed({"crum": dict(zip(names, GEO_I_CRUM_INPUTS["avg"], strict=True))}) == {
        "crum": pytest.approx(62.990, abs=5e-4)
    }


@pytest.mark.parametrize("order", [("min", "max"), ("max", "min")])
def test_the_least_performance_takes_the_longest_latency_and_the_least_network(
    order: tuple[str, str],
) -> None:
    shortest, longest = order
    latency = {shortest: 10, "avg": 20, longest: 40}
    found = computed(
        {
            "spm": {
                "broadcast_ms": latency,
                "request_ms": latency,
                "handshake_ms": 50,
                "network_in_bytes": {"min": 1e6, "avg": 2e6, "max": 3e6},
                "network_out_bytes": 5e6,
            }
        }
    )
    assert found["spm"] == {
        "min": meters.spm(40, 40, 50, 1e6, 5e6),
        "avg": meters.spm(20, 20, 50, 2e6, 5e6),
        "max": meters.spm(10, 10, 50, 3e6, 5e6),
    }


def test_a_dearer_hour_is_a_smaller_capacity() -> None:
    found = computed({"crum": 60, "spm": 300, "slm": 0.1, "cost_per_hour": {"min": 2, "avg": 3, "max": 4}})
    assert found["sec"]["min"] == meters.sec(0.1, 300, 60, 4)
    assert found["sec"]["max"] == meters.sec(0.1, 300, 60, 2)
    assert "ess" not in found
    assert found["esr"]["ratio"] == found["sec"]["max"] / found["sec"]["min"]


@pytest.mark.parametrize("missing", ["crum", "spm", "slm", "cost_per_hour"])
def test_any_part_may_be_absent(missing: str) -> None:
    found = computed({key: value for key, value in PUBLISHED.items() if key != missing})
    assert set(found) == set(PUBLISHED) - {missing}


def test_an_empty_file_answers_nothing() -> None:
    assert computed({}) == {}


def test_a_ratio_to_nothing_is_null() -> None:
    found = computed({"crum": 0, "spm": {"min": 0, "avg": 1, "max": 1}, "slm": 0, "cost_per_hour": 1e300})
    assert found["esr"]["ratio"] is None


def test_every_mistake_is_reported_with_its_key() -> None:
    found = mistakes(
        """{"crum": {"cpu": "15", "memory": -1, "disks": 3},
            "spm": {"broadcast_ms": 0, "request_ms": NaN, "handshake_ms": {"min": 1, "max": Infinity},
                    "network_in_bytes": {"min": 5, "avg": 4, "max": 3}, "network_out_bytes": true},
            "slm": [1], "cost_per_hour": 0, "price": 1}"""
    )
    assert sorted(mistake.split(":")[0] for mistake in found) == [
        "cost_per_hour",
        "crum.cpu",
        "crum.disk",
        "crum.disks",
        "crum.memory",
        "price",
        "slm",
        "spm.broadcast_ms",
        "spm.handshake_ms.avg",
        "spm.handshake_ms.max",
        "spm.network_in_bytes",
        "spm.network_out_bytes",
        "spm.request_ms",
    ]


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "has to be an object"),
        ("3", "has to be an object"),
        ('{"crum": 1, "crum": 2}', "crum: is given twice"),
        ('{"crum": 1' + "0" * 5000 + "}", "crum: has to be finite"),
        ('{"crum": 1e999}', "crum: has to be finite"),
        ('{"crum": {}}', "crum.cpu: is missing"),
        ('{"crum": {"min": 1, "avg": 2}}', "crum.max: is missing"),
        ('{"slm": null}', "slm: has to be a number"),
    ],
)
def test_files_that_are_not_inputs(text: str, about: str) -> None:
    assert about in "\n".join(mistakes(text))


def test_a_meter_out_of_range_is_a_mistake_of_the_inputs() -> None:
    with pytest.raises(meter_file.InputError, match="crum: the area is too large"):
        computed({"crum": {"cpu": 1e300, "memory": 1e300, "disk": 1}})


def _objects(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    names = ["min", "avg", "max", "crum", "spm", "slm", "cost_per_hour", "cpu", "memory", "disk"]
    return st.dictionaries(st.sampled_from(names), values, max_size=4) | st.lists(values, max_size=2)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=3), _objects))
def test_whatever_the_file_holds_it_is_inputs_or_mistakes(data: object) -> None:
    with contextlib.suppress(meter_file.InputError):
        json.dumps(computed(data), allow_nan=False)


def run(tmp_path: Path, data: object, *options: str) -> Result:
    file = tmp_path / "inputs.json"
    file.write_text(json.dumps(data), encoding="utf-8")
    return CliRunner().invoke(app, ["meters", str(file), *options])


def test_with_json_standard_output_is_the_json_and_nothing_else(tmp_path: Path) -> None:
    result = run(tmp_path, PUBLISHED, "--json")
    assert result.exit_code == 0
    assert set(json.loads(result.stdout)) == {"crum", "spm", "slm", "cost_per_hour", "sec", "ess", "esr"}


def test_the_table_shows_every_meter(tmp_path: Path) -> None:
    result = run(tmp_path, PUBLISHED)
    assert result.exit_code == 0
    for name in ("CRUM", "SPM", "SLM", "SEC", "ESS", "ESR", "11,349.7"):
        assert name in result.stdout


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_mistakes_go_to_standard_error_with_status_2(tmp_path: Path, options: tuple[str, ...]) -> None:
    result = run(tmp_path, {"crum": {"cpu": -1, "memory": 1}, "cost": 3}, *options)
    assert result.exit_code == 2
    assert result.stdout == ""
    for key in ("crum.cpu", "crum.disk", "cost:"):
        assert key in result.stderr
    assert "Traceback" not in result.stderr


def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        result = CliRunner().invoke(app, ["meters", str(path)])
        assert result.exit_code == 2
        assert str(path) in result.stderr.replace("\n", "")
