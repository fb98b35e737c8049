"""What an event decides. Pure: a rule and an event in, the winning options out."""

from __future__ import annotations

from market.administration import Lapse
from market.protocol import Event, Rule


def decision(rule: Rule | None, lapse: Lapse | None, event: Event) -> list[int] | None:
    """The winning options of a pool, none for a void one; None when the event does not decide it.

    The rule goes before the lapse, so that a pool may lapse with the very kind of event that decides it.
    """
    if rule is not None and event.kind == rule.event:
        option = rule.options.get(event.data.get(rule.field, ""), rule.otherwise)
        if option is not None:
            return [option]
    if lapse is not None and event.kind == lapse.event:
        return [] if lapse.option is None else [lapse.option]
    return None
