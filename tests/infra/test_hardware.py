"""Whatever a stack file names can be ordered, as the thesis had it or as its equivalent of today."""

from __future__ import annotations

import pytest

from infra.hardware import (
    CURRENT_CAPACITIES,
    CURRENT_SQL_CLASSES,
    CURRENT_TYPES,
    INSTANCE_TYPES,
    ORDERED_SQL_CAPACITIES,
    SQL_CLASSES,
    THESIS_SQL_CLASSES,
    ordered_class,
    ordered_cores,
    ordered_type,
)


@pytest.mark.parametrize("instance_type", INSTANCE_TYPES)
def test_the_thesis_s_own_types_are_ordered_for_it(instance_type: str) -> None:
    assert ordered_type("thesis", instance_type) == instance_type
    assert ordered_cores("thesis", instance_type) == INSTANCE_TYPES[instance_type].cores


@pytest.mark.parametrize("instance_type", INSTANCE_TYPES)
def test_a_current_type_has_the_cores_and_nearly_the_memory_of_what_it_stands_for(instance_type: str) -> None:
    ordered = ordered_type("current", instance_type)
    assert ordered not in INSTANCE_TYPES
    asked, given = INSTANCE_TYPES[instance_type], CURRENT_CAPACITIES[ordered]
    assert asked.cores <= given.cores <= asked.cores + 1
    assert given.memory_gib >= 0.9 * asked.memory_gib
    assert ordered_cores("current", instance_type) == given.cores


def test_no_class_that_rds_has_withdrawn_is_ordered() -> None:
    ordered = [ordered_class(hardware, kind) for kind in SQL_CLASSES for hardware in ("thesis", "current")]
    assert not [kind for kind in ordered if kind.startswith(("db.m3.", "db.r3."))]


@pytest.mark.parametrize("sql_class", SQL_CLASSES)
def test_a_class_of_rds_keeps_its_size(sql_class: str) -> None:
    size = sql_class.rpartition(".")[2]
    for hardware in ("thesis", "current"):
        assert ordered_class(hardware, sql_class).rpartition(".")[2] == size
    assert ordered_class("thesis", sql_class) != ordered_class("current", sql_class)


@pytest.mark.parametrize("sql_class", SQL_CLASSES)
def test_what_is_ordered_of_rds_is_no_smaller_than_what_it_stands_for(sql_class: str) -> None:
    asked = SQL_CLASSES[sql_class]
    for hardware in ("thesis", "current"):
        given = ORDERED_SQL_CAPACITIES[ordered_class(hardware, sql_class)]
        assert asked.cores <= given.cores <= asked.cores + 1
        assert asked.memory_gib <= given.memory_gib <= 1.1 * asked.memory_gib


def test_every_name_has_an_equivalent_and_nothing_else_has() -> None:
    assert CURRENT_TYPES.keys() == INSTANCE_TYPES.keys()
    assert set(CURRENT_TYPES.values()) == CURRENT_CAPACITIES.keys()
    assert {*THESIS_SQL_CLASSES.values(), *CURRENT_SQL_CLASSES.values()} == ORDERED_SQL_CAPACITIES.keys()
    assert THESIS_SQL_CLASSES.keys() == CURRENT_SQL_CLASSES.keys() == SQL_CLASSES.keys()
