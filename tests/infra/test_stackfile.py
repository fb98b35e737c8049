"""A stack's configuration is one architecture, or all of its mistakes at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.errors import StackFileError
from infra.stackfile import from_config, load, parse
from tests.infra.stack_files import ROOT, STACKS, changed, config_of, engine_form, mistakes, text_of

MATCH = {"name": "final", "start": "2026-07-19T18:00:00Z", "end": "2026-07-19T22:00:00Z", "per-region": 2}


@pytest.mark.parametrize("stack", STACKS)
def test_the_three_stacks_are_valid(stack: str) -> None:
    assert load(stack, ROOT).name == stack


def test_the_baseline_is_one_big_machine_at_home() -> None:
    a = load("baseline", ROOT)
    assert (a.nodes.regions, a.nodes.instance_type, a.nodes.api_processes) == (
        ("eu-west-1",),
        "c3.8xlarge",
        16,
    )
    assert (a.redis.placement, a.sql.placement, a.core) == ("node", "node", None)


def test_geo_i_has_eight_nodes_and_its_data_at_home() -> None:
    a = load("geo-i", ROOT)
    assert len(a.nodes.regions) == 8
    assert a.nodes.api_processes == 2
    assert {a.redis_region(region) for region in a.nodes.regions} == {"eu-west-1"}
    assert set(a.sql_placement.reads_from.values()) == {"eu-west-1"}


def test_geo_ii_reads_redis_on_its_own_nodes_and_sql_as_the_thesis_did() -> None:
    a = load("geo-ii", ROOT)
    assert all(a.redis_region(region) == region for region in a.nodes.regions)
    assert a.sql_placement.source_of == dict.fromkeys(
        ["us-east-1", "us-west-2", "ap-southeast-1", "ap-northeast-1", "sa-east-1"], "eu-west-1"
    )
    assert a.sql_placement.reads_from["ap-southeast-2"] == "ap-southeast-1"
    assert a.sql_placement.reads_from["us-west-1"] == "us-west-2"
    assert a.sql_placement.reads_from["eu-west-1"] == "eu-west-1"


@pytest.mark.parametrize("limit", [{"replicas-per-source": 7}, {"region-crossings": 2}])
def test_a_limit_in_the_file_gives_geo_ii_a_replica_in_every_region(limit: dict[str, int]) -> None:
    config = changed(config_of("geo-ii"), {f"sql.limits.{key}": value for key, value in limit.items()})
    placement = parse("geo-ii", text_of(config)).sql_placement
    assert all(reader == target for reader, target in placement.reads_from.items())


def test_there_is_no_load_fleet_unless_the_file_has_one() -> None:
    assert load("geo-ii", ROOT).load is None
    fleet = parse("geo-ii", text_of(changed(config_of("geo-ii"), {"load.per-region": 2}))).load
    assert fleet
    assert (fleet.per_region, fleet.instance_type, len(fleet.regions)) == (2, "m3.medium", 8)


MISTAKES: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "an empty title": ({"title": ""}, "title"),
    "no domain": ({"domain": "not a domain"}, "domain"),
    "unknown hardware": ({"hardware": "quantum"}, "hardware"),
    "no such day": ({"expiry": "soon"}, "expiry"),
    "neither yes nor no": ({"protect": "perhaps"}, "protect"),
    "a key that there is not": ({"titel": "x"}, "titel"),
    "a key below that there is not": ({"nodes.colour": "red"}, "nodes.colour"),
    "no process": ({"nodes.api-processes": 0}, "nodes.api-processes"),
    "an unknown machine": ({"nodes.instance-type": "m3.huge"}, "nodes.instance-type"),
    "too few operations": ({"nodes.volume.iops": 50}, "nodes.volume.iops"),
    "a minimum above the count": ({"nodes.scaling.minimum": 2}, "nodes.scaling.minimum"),
    "in above out": (
        {"nodes.scaling.in-cpu-percent": 60, "nodes.scaling.out-cpu-percent": 50},
        "nodes.scaling.in-cpu-percent",
    ),
    "no cooldown": ({"nodes.scaling.cooldown-s": -1}, "nodes.scaling.cooldown-s"),
    "more standbys than zones": ({"redis.standbys": 2}, "redis.standbys"),
    "no disk": ({"redis.volume.size-gib": 0}, "redis.volume.size-gib"),
    "an unknown machine for the core": ({"core.instance-type": "m9"}, "core.instance-type"),
    "a version of another engine": ({"sql.engine-version": "8.0"}, "sql.engine-version"),
    "a log that is never flushed": ({"sql.log-flush": "never"}, "sql.log-flush"),
    "too many operations": ({"sql.volume.iops": 5001}, "sql.volume.iops"),
    "too few replicas": ({"sql.limits.replicas-per-source": 1}, "sql.limits"),
    "an unknown class": ({"sql.replica-class": "db.tiny"}, "sql.replica-class"),
    "no backups": ({"sql.backup-days": 0}, "sql.backup-days"),
    "no policy": ({"routing.policy": "random"}, "routing.policy"),
    "no time": ({"routing.ttl-s": 0}, "routing.ttl-s"),
    "no address": ({"alarms.email": "nobody"}, "alarms.email"),
    "an unknown machine for monitoring": ({"monitoring.instance-type": "m9"}, "monitoring.instance-type"),
    "an unknown machine for the load": ({"load.instance-type": "m9"}, "load.instance-type"),
    "no load machine": ({"load.per-region": 0}, "load.per-region"),
    "a load region twice": ({"load.regions": ["eu-west-1", "eu-west-1"]}, "load.regions"),
    "results that are not kept": ({"load.keep-days": 0}, "load.keep-days"),
    "an unknown time of keeping": ({"monitoring.log-days": 2}, "monitoring.log-days"),
}
"""Mistakes that do not touch one another: what is set in geo-ii, and the key that is to be named."""


@given(st.sets(st.sampled_from(sorted(MISTAKES))))
def test_any_mistakes_are_all_reported_at_once_each_with_its_key(made: set[str]) -> None:
    config = config_of("geo-ii")
    for name in made:
        config = changed(config, MISTAKES[name][0])
    expected = {f"isochrone:{MISTAKES[name][1]}" for name in made}
    if not expected:
        assert parse("geo-ii", text_of(config)) == load("geo-ii", ROOT)
        return
    with pytest.raises(StackFileError) as in_file:
        parse("changed", text_of(config))
    assert {mistake.split(": ")[0] for mistake in in_file.value.mistakes} == expected
    with pytest.raises(StackFileError) as from_engine:
        from_config("changed", engine_form(config))
    assert from_engine.value.mistakes == in_file.value.mistakes


def test_missing_keys_are_reported_beside_the_others() -> None:
    found = mistakes(
        "geo-ii", home="eu-west-9", title=None, nodes={"volume": {}}, redis={"placement": "home"}
    )
    assert {m.split(": ")[0] for m in found} >= {
        "isochrone:home",
        "isochrone:title",
        "isochrone:nodes.regions",
        "isochrone:nodes.volume.size-gib",
        "isochrone:redis.instance-type",
        "isochrone:redis.volume",
    }


@pytest.mark.parametrize(
    ("stack", "changes", "key", "advice"),
    [
        ("geo-i", {"nodes.regions": ["eu-west-1", "eu-west-1"]}, "nodes.regions", "twice"),
        ("geo-i", {"nodes.per-region": 3}, "nodes.scaling.maximum", "less than per-region (3); raise it"),
        ("geo-i", {"nodes.scaling": {"minimum": 2}}, "nodes.scaling.minimum", "more than per-region (1)"),
        ("geo-i", {"nodes.scaling": {"out-cpu-percent": 20}}, "nodes.scaling.in-cpu-percent", "lower it"),
        (
            "geo-i",
            {"nodes.schedules": [MATCH | {"end": MATCH["start"]}]},
            "nodes.schedules.0.end",
            "not after start",
        ),
        ("geo-i", {"nodes.schedules": [MATCH, MATCH]}, "nodes.schedules.1.name", "also the name of"),
        (
            "geo-i",
            {"nodes.schedules": [MATCH | {"per-region": 3}]},
            "nodes.schedules.0.per-region",
            "more than scaling.maximum (2)",
        ),
        (
            "geo-i",
            {"nodes.schedules": [MATCH | {"start": "2026-07-19T18:00:00"}]},
            "nodes.schedules.0.start",
            "timezone",
        ),
        ("geo-i", {"core": None}, "core", "drains the journal"),
        (
            "baseline",
            {"core": {"instance-type": "m3.medium", "volume": {"size-gib": 20}}},
            "core",
            "remove it",
        ),
        ("geo-i", {"routing.policy": "simple"}, "routing.policy", "latency"),
        ("geo-i", {"redis": {"placement": "node"}}, "redis.placement", "exactly one node region"),
        ("baseline", {"nodes.per-region": 2}, "redis.placement", "exactly one node, where per-region is 2"),
        ("baseline", {"nodes.schedules": [MATCH]}, "nodes.schedules", "no meaning where data is on the node"),
        ("baseline", {"nodes.scaling": {"maximum": 1}}, "nodes.scaling", "no meaning where data is on"),
        ("geo-i", {"core.volume.size-gib": 7}, "core.volume.size-gib", "the machine image alone takes 8"),
        ("geo-i", {"monitoring": {"volume": {"size-gib": 1}}}, "monitoring.volume.size-gib", "raise it"),
        ("baseline", {"redis.standbys": 1}, "redis.standbys", "no meaning"),
        ("baseline", {"redis.instance-type": "m2.xlarge"}, "redis.instance-type", "remove"),
        ("geo-i", {"redis.standbys": 2}, "redis.standbys", "3 zones: raise zones (2)"),
        ("geo-i", {"redis.instance-type": "m9"}, "redis.instance-type", "choose one of c3.8xlarge"),
        ("geo-i", {"sql": {"placement": "home"}}, "sql.instance-class", "is missing"),
        ("geo-i", {"sql.instance-class": "db.tiny"}, "sql.instance-class", "choose one of db.m3.medium"),
        ("geo-i", {"sql.engine": "mysql"}, "sql.engine-version", "10.11 is no version of mysql"),
        ("geo-i", {"sql.read-fallback": {"us-west-1": "us-west-2"}}, "sql.read-fallback", "remove it"),
        ("geo-i", {"sql.replica-regions": ["us-east-1"]}, "sql.replica-regions", "remove it"),
        ("geo-i", {"sql.limits": {"chain-length": 1}}, "sql.limits", "remove it"),
        ("geo-i", {"sql.volume": {"size-gib": 10}}, "sql.volume.size-gib", "at least 20 GiB"),
        ("geo-i", {"sql.volume": {"size-gib": 50, "iops": 1000}}, "sql.volume.size-gib", "at least 100 GiB"),
        ("geo-i", {"sql.volume.iops": 999}, "sql.volume.iops", "at least 1000"),
        ("geo-i", {"sql.volume.size-gib": 2001}, "sql.volume.iops", "2001 GiB at least 1001 (0.5 per GiB)"),
        ("geo-i", {"sql.log-flush": "never"}, "sql.log-flush", "'everysec' or 'commit'"),
        ("geo-i", {"redis.volume": {"size-gib": 10, "iops": 501}}, "redis.volume.iops", "at most 500"),
        ("geo-i", {"core.volume.iops": 99}, "core.volume.iops", "at least 100"),
        ("geo-i", {"nodes.volume.iops": 64001}, "nodes.volume.iops", "64000"),
        ("geo-ii", {"sql.replica-regions": []}, "sql.replica-regions", "at least one region"),
        ("geo-ii", {"sql.replica-regions": ["eu-west-1"]}, "sql.replica-regions", "is home"),
        ("geo-ii", {"sql.replica-regions": ["us-east-1"] * 2}, "sql.replica-regions", "twice"),
        ("geo-ii", {"sql.replica-class": None}, "sql.replica-class", "needs a class"),
        ("geo-ii", {"sql.read-fallback": {}}, "sql.limits", "from 5 to 7, or region-crossings from 1 to 2"),
        (
            "geo-ii",
            {"sql.read-fallback": {"us-west-1": "us-west-1", "ap-southeast-2": "eu-west-1"}},
            "sql.read-fallback",
            "names itself",
        ),
        (
            "geo-ii",
            {"nodes.regions": ["eu-west-1", "us-east-1"]},
            "sql.read-fallback",
            "us-west-1 has no nodes that could read",
        ),
        ("geo-i", {"load.regions": ["moon-1"]}, "load.regions.0", "is not a region of the comparison"),
        ("geo-i", {"load.volume": {"size-gib": 10, "iops": 4000}}, "load.volume.iops", "at most 500"),
        ("geo-ii", {"zones": 4}, "zones", "3"),
        ("geo-ii", {"nodes": "many"}, "nodes", "dictionary"),
    ],
)
def test_a_contradiction_names_its_key_and_what_to_do(
    stack: str, changes: dict[str, Any], key: str, advice: str
) -> None:
    config = changed(config_of(stack), changes)
    with pytest.raises(StackFileError) as caught:
        parse("changed", text_of(config))
    assert [m for m in caught.value.mistakes if m.startswith(f"isochrone:{key}: ") and advice in m]


@pytest.mark.parametrize(
    ("stack", "changes"),
    [
        ("geo-i", {"nodes.per-region": 2}),
        ("geo-i", {"nodes.per-region": 3, "nodes.scaling": {"minimum": 3, "maximum": 3}}),
        ("geo-i", {"nodes.schedules": [MATCH, MATCH | {"name": "semi-final"}]}),
        ("geo-i", {"redis.standbys": 1}),
        ("geo-i", {"redis.standbys": 2, "zones": 3}),
        ("geo-i", {"redis.volume": {"size-gib": 2, "iops": 100}}),
        ("geo-i", {"sql.volume": {"size-gib": 20}}),
        ("geo-i", {"sql.volume": {"size-gib": 100, "iops": 5000}}),
        ("geo-i", {"sql.volume": {"size-gib": 2000, "iops": 1000}}),
        ("geo-i", {"sql.engine": "mysql", "sql.engine-version": "8.0"}),
        ("geo-i", {"core.volume.size-gib": 8}),
        ("geo-i", {"domain": f"{'a' * 60}.{'b' * 60}.{'c' * 60}.{'d' * 40}.example"}),
    ],
)
def test_what_is_just_allowed_is_accepted(stack: str, changes: dict[str, Any]) -> None:
    assert parse(stack, text_of(changed(config_of(stack), changes))).name == stack


@pytest.mark.parametrize("policy", ["latency", "geolocation"])
def test_users_of_several_regions_are_routed_by_latency_or_by_where_they_are(policy: str) -> None:
    text = text_of(changed(config_of("geo-ii"), {"routing.policy": policy}))
    assert parse("geo-ii", text).routing.policy == policy


def test_a_time_may_be_written_with_quotes_or_without() -> None:
    config = changed(config_of("geo-i"), {"nodes.schedules": [MATCH], "expiry": MATCH["end"]})
    as_text = text_of(config)
    as_time = as_text.replace("'", "")
    assert as_time != as_text
    assert parse("geo-i", as_time) == parse("geo-i", as_text)
    assert parse("geo-i", as_text).expiry == datetime(2026, 7, 19, 22, tzinfo=UTC)


@pytest.mark.parametrize("key", ["isochron:protect", "isochrone-:zones", "other:key"])
def test_a_key_of_nobody_is_refused_since_it_was_meant_for_something(key: str) -> None:
    with pytest.raises(StackFileError) as caught:
        parse("geo-i", text_of({**config_of("geo-i"), key: "false"}))
    (mistake,) = caught.value.mistakes
    assert mistake.startswith(f"{key}: is nobody's key; those here begin with isochrone:, aws:, pulumi:")


def test_a_stack_has_the_name_of_its_file_and_no_other() -> None:
    with pytest.raises(StackFileError, match="isochrone:name: is not a key"):
        parse("geo-i", text_of({**config_of("geo-i"), "isochrone:name": "geo-ii"}))


@pytest.mark.parametrize("name", ["geo--i", "geo-", "-geo", "a" * 32])
def test_a_stack_s_name_makes_names_that_aws_takes(name: str) -> None:
    with pytest.raises(StackFileError, match="name"):
        parse(name, text_of(config_of("geo-i")))


def test_a_key_that_is_there_twice_is_refused_by_its_line() -> None:
    text = text_of(config_of("geo-i"))
    with pytest.raises(StackFileError, match=r"a key is there twice in line \d+"):
        parse("geo-i", f"{text}  isochrone:zones: 2\n  isochrone:zones: 3\n")


@pytest.mark.parametrize("value", ["9" * 5000, "2026-02-31T00:00:00Z"])
def test_a_value_that_yaml_cannot_make_is_no_traceback(value: str) -> None:
    with pytest.raises(StackFileError, match="is not YAML"):
        parse("geo-i", f"{text_of(config_of('geo-i'))}  isochrone:zones: {value}\n")


@pytest.mark.parametrize("value", [".inf", ".nan", "1e400"])
@pytest.mark.parametrize("key", ["replica-lag-s", "broadcast-late-ms", "cpu-percent", "accept-overflows"])
def test_a_threshold_is_a_number_that_can_be_passed(key: str, value: str) -> None:
    with pytest.raises(StackFileError, match=f"isochrone:alarms.{key}: "):
        parse("geo-i", f"{text_of(config_of('geo-i'))}  isochrone:alarms: {{{key}: {value}}}\n")


def test_a_missing_file_names_the_stacks_that_there_are() -> None:
    with pytest.raises(StackFileError, match="baseline, geo-i, geo-ii"):
        load("geo-iii", ROOT)


@pytest.mark.parametrize("key", ["snapshot", "regions"])
def test_the_machine_image_s_configuration_is_said_to_be_no_architecture(key: str) -> None:
    with pytest.raises(StackFileError) as caught:
        parse("image", text_of({f"isochrone:{key}": "x", "isochrone:size-gib": 8}))
    assert caught.value.mistakes == (f"isochrone:{key}: describes the machine image, not an architecture",)


def test_a_file_that_is_not_yaml_is_refused_by_its_line_which_is_not_repeated() -> None:
    with pytest.raises(StackFileError) as caught:
        parse("geo-i", "config:\n  isochrone:secrets: {password: hunter2\n  isochrone:title: x\n")
    assert "line 3" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@given(st.text())
def test_any_text_is_an_architecture_or_a_stack_file_error(text: str) -> None:
    with pytest.raises(StackFileError):
        parse("any", text)


@given(
    st.dictionaries(
        st.sampled_from(
            ["nodes", "sql", "redis", "core", "routing", "home", "nodes.schedules", "sql.limits"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["volume", "regions", "placement", "start", "0"]), inner, max_size=3
                )
            ),
            max_leaves=8,
        ),
        min_size=1,
    )
)
def test_any_values_are_an_architecture_or_a_stack_file_error(values: dict[str, Any]) -> None:
    below = {key: value for key, value in values.items() if key.split(".")[0] not in values or "." not in key}
    config = changed(config_of("geo-ii"), below)
    try:
        assert parse("any", text_of(config)) == from_config("any", engine_form(config))
    except StackFileError:
        with pytest.raises(StackFileError, match="isochrone:"):
            from_config("any", engine_form(config))
