"""What all load workers measured together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import median

from msgspec import Struct

from bench.histogram import Histogram, merged
from bench.outcome import Outcome, Prediction, Reception
from bench.result import LATENCIES, SPREAD_TAIL, Broadcasts, Curve, Generator, Latency, Spread, Users

Place = tuple[str, int, int]
"""A broadcast's place: pool, epoch, offset."""


class Load(Struct, frozen=True):
    """The load's side of a run.

    Args:
        users: requested, connected, failed and lost.
        latency: by quantity of `bench.result.LATENCIES`. What was due and not done is in it with its age at
            the end of the run, which is a lower bound; refused requests are not.
        curves: the distribution of each quantity over all users.
        region_curves: the same by region: quantity, then region.
        broadcasts: received, missed and duplicate, over all users, of those published until the end of the
            load: afterwards the users leave. Missed are the offsets that a user
            skipped, and what a user who stayed had not received at the end though it was published before.
        spread: last minus first reception over all users of all regions, of the broadcasts published after
            the ramp and after everybody had joined, until the end of the load.
        errors: by code, such as `error:5030`, `close:1006`, `connect:TimeoutError`, `dropped:outstanding`.
        requests: replies received.
        generator: how well the load was generated.
        acknowledged: the predictions that were answered with a receipt.
        unanswered: the predictions that were sent and whose outcome the user does not know.
        started_at_s: the start, since 1970.
        settled_at_s: from when on every user was connected and had joined, since 1970; None when nobody
            joined.
        ended_at_s: the last moment at which predictions were placed, since 1970.
    """

    users: Users
    latency: dict[str, Latency]
    curves: dict[str, Curve]
    region_curves: dict[str, dict[str, Curve]]
    broadcasts: Broadcasts
    spread: Spread
    errors: dict[str, int]
    requests: int
    generator: Generator
    acknowledged: list[Prediction]
    unanswered: list[Prediction]
    started_at_s: float
    settled_at_s: float | None
    ended_at_s: float


def lag_of(outcomes: Iterable[Outcome]) -> Histogram:
    """How late the generators were, over all workers."""
    return merged(outcome.lag for outcome in outcomes)


def combine(outcomes: Sequence[Outcome], ramp_s: float, generator: Generator) -> Load:
    """Merge the outcomes of the workers of one run; `ramp_s` is the scenario's."""
    latency, curves, region_curves = _latencies(outcomes)
    receptions = list(_receptions(outcomes))
    started_us = min(outcome.started_us for outcome in outcomes)
    ended_us = min(outcome.ended_us for outcome in outcomes)
    joined_us = max(outcome.settled_us for outcome in outcomes)
    settled_us = max(joined_us, started_us + int(ramp_s * 1e6)) if joined_us else None
    counted = [
        reception
        for reception in receptions
        if settled_us is not None and settled_us <= reception.published_us <= ended_us
    ]
    tails = _missing_tails(outcomes, receptions, ended_us)
    errors: Counter[str] = Counter()
    for outcome in outcomes:
        errors.update(outcome.errors)
    return Load(
        users=Users(
            requested=sum(outcome.users for outcome in outcomes),
            connected=sum(outcome.connected for outcome in outcomes),
            failed=sum(outcome.failed for outcome in outcomes),
            lost=sum(outcome.lost for outcome in outcomes),
        ),
        latency=latency,
        curves=curves,
        region_curves=region_curves,
        broadcasts=Broadcasts(
            received=sum(outcome.received for outcome in outcomes),
            missed=sum(outcome.missed for outcome in outcomes) + tails,
            duplicate=sum(outcome.duplicate for outcome in outcomes),
            early=sum(outcome.early for outcome in outcomes),
        ),
        spread=_spread(counted),
        errors=dict(sorted(errors.items())),
        requests=sum(outcome.requests for outcome in outcomes),
        generator=generator,
        acknowledged=[prediction for outcome in outcomes for prediction in outcome.acknowledged],
        unanswered=[prediction for outcome in outcomes for prediction in outcome.unanswered],
        started_at_s=started_us / 1e6,
        settled_at_s=None if settled_us is None else settled_us / 1e6,
        ended_at_s=ended_us / 1e6,
    )


def _latencies(
    outcomes: Sequence[Outcome],
) -> tuple[dict[str, Latency], dict[str, Curve], dict[str, dict[str, Curve]]]:
    latency, curves, region_curves = {}, {}, {}
    regions = sorted({outcome.region for outcome in outcomes})
    for quantity in LATENCIES:
        by_region = {
            region: merged(outcome.latency[quantity] for outcome in outcomes if outcome.region == region)
            for region in regions
        }
        whole = Histogram()
        for histogram in by_region.values():
            whole.add(histogram)
        latency[quantity] = Latency(
            whole.summary(),
            {region: histogram.summary() for region, histogram in by_region.items()},
            due=_count(outcome.due.get(quantity) for outcome in outcomes),
            answered=_count(outcome.answered.get(quantity) for outcome in outcomes),
        )
        curves[quantity] = whole.curve()
        region_curves[quantity] = {region: histogram.curve() for region, histogram in by_region.items()}
    return latency, curves, region_curves


def _count(parts: Iterable[int | None]) -> int | None:
    """The sum of what was counted; None when nobody counted."""
    counted = [part for part in parts if part is not None]
    return sum(counted) if counted else None


def _receptions(outcomes: Sequence[Outcome]) -> Iterable[Reception]:
    """Each broadcast once, over the users of all workers."""
    by_place: defaultdict[Place, list[Reception]] = defaultdict(list)
    for outcome in outcomes:
        for reception in outcome.receptions:
            by_place[reception.pool, reception.epoch, reception.offset].append(reception)
    for place, parts in by_place.items():
        yield Reception(
            *place,
            published_us=min(part.published_us for part in parts),
            first_us=min(part.first_us for part in parts),
            last_us=max(part.last_us for part in parts),
            receivers=sum(part.receivers for part in parts),
        )


def _missing_tails(outcomes: Sequence[Outcome], receptions: Sequence[Reception], ended_us: int) -> int:
    """What users who stayed lacked at the end: no gap in their offsets shows it.

    Somebody received it, it was published before the end of the load, and these users, who had joined
    before, had not received it when they left. Of users who never received any, those broadcasts count that
    were published after their worker's users had all joined.
    """
    missing = 0
    for outcome in outcomes:
        for position in outcome.positions:
            place = (position.epoch, position.offset)
            since_us = 0 if any(place) else outcome.settled_us
            missing += position.users * sum(
                reception.pool == position.pool
                and (reception.epoch, reception.offset) > place
                and since_us < reception.published_us <= ended_us
                for reception in receptions
            )
    return missing


def _spread(receptions: Sequence[Reception]) -> Spread:
    if not receptions:
        return Spread(None, None, None, 0)
    spreads = Histogram()
    for reception in receptions:
        spreads.record(reception.last_us - reception.first_us)
    middle_us = median(reception.last_us - reception.first_us for reception in receptions)
    return Spread(
        p50=round(middle_us) / 1000,
        p98=spreads.percentile_ms(98) if len(receptions) >= SPREAD_TAIL else None,
        max=spreads.greatest / 1000,
        count=len(receptions),
    )
