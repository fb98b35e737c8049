"""The load against a real WebSocket server over TLS, each worker a process of its own."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace

from bench import coordinator, outcome, plan
from bench.events import Progress
from bench.load import Load
from bench.scenario import Scenario, Uniform
from bench.schedule import Action, Kind, schedule
from market import protocol
from market.protocol import ErrorCode, PlacePrediction
from tests.bench.market_server import Faults, Market, market_server

QUICK = Scenario(
    users=6,
    ramp_s=0.2,
    duration_s=1.3,
    join_wait_s=Uniform(0.05, 0.2),
    place_wait_s=Uniform(0.05, 0.2),
    linger_s=0.3,
)
LONGER = replace(QUICK, duration_s=4)
"""For what needs some broadcasts while the load lasts, on a machine that is held up for a second too."""


@dataclass
class Bench:
    """Runs a scenario against a server with faults, and keeps what both saw."""

    certificate: tuple[Path, Path]
    directory: Path
    faults: Faults = field(default_factory=Faults)
    scenario: Scenario = QUICK
    regions: Sequence[str] = ("here", "there")
    audience: int = 6
    handshake_timeout_s: float = 5
    drain_timeout_s: float = 5
    release: Callable[[Progress], bool] | None = None
    host: str = "localhost"
    ca_file: Path | None = None
    seen: list[Progress] = field(default_factory=list)
    released_at_s: float = 0

    def run(self) -> tuple[Load, Market]:
        return asyncio.run(self._run())

    async def _run(self) -> tuple[Load, Market]:
        users = range(self.scenario.users)
        tokens = self.directory / "tokens"
        tokens.write_text("".join(f"user-{number}\ttoken-of-user-{number}\n" for number in users))
        server = market_server(
            self.certificate, self.faults, audience=self.audience, released=self.release is None
        )
        async with server as market:
            plans = plan.divide(
                self.regions,
                self.scenario,
                url=market.url.replace("localhost", self.host),
                ca_file=self.ca_file or market.ca_file,
                tokens_file=tokens,
                directory=self.directory,
                handshake_timeout_s=self.handshake_timeout_s,
                drain_timeout_s=self.drain_timeout_s,
            )

            def on_progress(progress: Progress) -> None:
                self.seen.append(progress)
                if self.release and self.release(progress) and not market.released.is_set():
                    self.released_at_s = time.time()
                    market.released.set()

            load = await coordinator.run(plans, coordinator.spawn_here, self.directory, on_progress)
        return load, market


@pytest.fixture
def bench(certificate: tuple[Path, Path], tmp_path: Path) -> Bench:
    return Bench(certificate, tmp_path)


@pytest.fixture(scope="module")
def sound(
    certificate: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Load, Market, Bench]:
    """One run without a fault."""
    made = Bench(certificate, tmp_path_factory.mktemp("sound"))
    return (*made.run(), made)


def scheduled(scenario: Scenario) -> list[Action]:
    return list(schedule(scenario, 1, range(scenario.users)))


def planned(scenario: Scenario, kind: Kind) -> int:
    return sum(action.kind is kind for action in scheduled(scenario))


def connect_errors(load: Load) -> dict[str, int]:
    return {code: count for code, count in load.errors.items() if code.startswith("connect:")}


def test_everybody_connects_joins_predicts_and_hears_every_broadcast(
    sound: tuple[Load, Market, Bench],
) -> None:
    load, market, _ = sound
    predictions = planned(QUICK, Kind.PLACE)
    assert load.users.requested == load.users.connected == 6
    assert (load.users.failed, load.users.lost, load.errors) == (0, 0, {})
    assert sorted(market.connections) == [f"user-{number}" for number in range(6)]
    assert load.latency["handshake"].all.count == 6
    assert load.latency["read"].all.count == 3 * 6
    assert load.latency["prediction"].all.count == predictions > 40
    assert load.requests == 3 * 6 + predictions
    counts = {quantity: (found.due, found.answered) for quantity, found in load.latency.items()}
    assert counts == {
        "handshake": (6, 6),
        "read": (18, 18),
        "prediction": (predictions, predictions),
        "broadcast": (None, None),
    }
    assert load.broadcasts.received == load.latency["broadcast"].all.count >= 6 * 4
    assert (load.broadcasts.missed, load.broadcasts.duplicate) == (0, 0)
    assert sorted(load.latency["handshake"].by_region) == ["here", "there"]
    assert [load.latency["handshake"].by_region[region].count for region in ("here", "there")] == [3, 3]


def test_broadcasts_of_the_time_in_which_users_leave_do_not_count(sound: tuple[Load, Market, Bench]) -> None:
    load, market, _ = sound
    counted = [published for published in market.published_us if published <= load.ended_at_s * 1e6]
    assert load.broadcasts.received == 6 * len(counted)
    assert len(counted) < len(market.published_us)


def test_the_acknowledged_predictions_are_those_that_the_server_took(
    sound: tuple[Load, Market, Bench],
) -> None:
    load, market, _ = sound
    taken = [(user, sent.key, sent.pool, sent.option, sent.stake) for user, sent in market.placed]
    assert sorted(load.acknowledged) == sorted(taken)
    assert len({prediction[:2] for prediction in load.acknowledged}) == len(taken)
    assert load.unanswered == []


def test_the_spread_is_measured_over_the_users_of_all_workers(sound: tuple[Load, Market, Bench]) -> None:
    load, _, _ = sound
    assert load.spread.count is not None
    assert load.spread.count >= 4
    assert load.settled_at_s is not None
    assert load.started_at_s + QUICK.ramp_s <= load.settled_at_s < load.ended_at_s
    p50, longest = load.spread.p50, load.spread.max
    assert p50 is not None
    assert longest is not None
    assert 0 < p50 <= longest < 1000


def test_a_server_that_stalls_slows_no_arrival_and_every_wait_counts_from_the_intended_start(
    bench: Bench,
) -> None:
    bench.release = lambda progress: progress.at_s > 1
    load, _ = bench.run()
    intended_s = [
        load.started_at_s + action.at_s
        for action in schedule(QUICK, 1, range(QUICK.users))
        if action.kind is Kind.PLACE
    ]
    assert len(load.acknowledged) == len(intended_s)
    waits_ms = [max(bench.released_at_s - at_s, 0) * 1000 for at_s in intended_s]
    measured = load.latency["prediction"].all
    assert measured.mean is not None
    assert measured.max is not None
    assert measured.mean == pytest.approx(sum(waits_ms) / len(waits_ms), abs=100)
    assert measured.max == pytest.approx(max(waits_ms), abs=300)
    assert load.generator.lag_p98_ms is not None
    assert load.generator.lag_p98_ms < measured.max / 2


def test_answers_that_are_late_are_waited_for_after_the_last_prediction(bench: Bench) -> None:
    bench.release = lambda progress: progress.phase == "drain"
    load, market = bench.run()
    assert len(load.acknowledged) == len(market.placed) == planned(QUICK, Kind.PLACE)
    assert load.unanswered == []


def test_what_is_never_answered_is_listed_apart_and_counts_with_its_age(bench: Bench) -> None:
    bench.faults.answer = lambda _: None
    bench.drain_timeout_s = 0.6
    load, market = bench.run()
    assert load.acknowledged == []
    assert len(load.unanswered) == len(market.placed) == load.latency["prediction"].all.count
    shortest = load.latency["prediction"].all.min
    assert shortest is not None
    assert shortest >= 550
    assert load.requests == 3 * 6


def test_requests_beyond_the_bound_are_dropped_and_counted(bench: Bench) -> None:
    bench.faults.answer = lambda _: None
    bench.scenario = Scenario(
        users=2,
        ramp_s=0,
        duration_s=2,
        join_wait_s=Uniform(0, 0),
        place_wait_s=Uniform(0.1, 0.2),
        max_outstanding=3,
        linger_s=0,
    )
    bench.drain_timeout_s = 0.1
    load, market = bench.run()
    assert len(market.placed) == len(load.unanswered) == 2 * 3
    due = planned(bench.scenario, Kind.PLACE)
    assert load.errors == {"dropped:outstanding": due - 6}
    assert load.latency["prediction"].all.count == load.latency["prediction"].due == due
    assert load.latency["prediction"].answered == 0


@pytest.mark.parametrize(
    ("code", "unanswered"), [(ErrorCode.UNAVAILABLE, True), (ErrorCode.INSUFFICIENT_FUNDS, False)]
)
def test_errors_are_counted_by_code_and_only_a_failure_leaves_the_outcome_open(
    bench: Bench, code: ErrorCode, unanswered: bool
) -> None:
    def answer(message: PlacePrediction) -> protocol.ServerMessage:
        return protocol.Error(message.id, code, "no")

    bench.faults.answer = answer
    load, market = bench.run()
    assert load.errors == {f"error:{code}": len(market.placed)}
    assert load.acknowledged == []
    assert len(load.unanswered) == (len(market.placed) if unanswered else 0)
    assert load.latency["prediction"].all.count == len(load.unanswered)


def test_an_answer_of_the_wrong_type_is_an_error(bench: Bench) -> None:
    bench.faults.answer = lambda message: protocol.Left(message.id, "match-1")
    load, market = bench.run()
    assert load.errors == {"reply:unexpected": len(market.placed)}
    assert load.acknowledged == []


def test_gaps_in_a_users_offsets_are_missed_and_repeats_are_duplicates(bench: Bench) -> None:
    def deliver(user: str, offset: int) -> int:
        return {("user-0", 2): 0, ("user-0", 3): 0, ("user-1", 4): 2}.get((user, offset), 1)

    bench.faults.deliver = deliver
    load, _ = bench.run()
    assert (load.broadcasts.missed, load.broadcasts.duplicate) == (2, 1)


def test_a_user_who_hears_nothing_more_misses_what_others_received(bench: Bench) -> None:
    bench.faults.deliver = lambda user, offset: int(user != "user-3" or offset <= 2)
    bench.scenario = LONGER
    bench.drain_timeout_s = 0.5
    load, market = bench.run()
    during = [at_us for at_us in market.published_us if at_us <= load.ended_at_s * 1e6]
    assert load.broadcasts.missed == len(during) - 2 > 1
    assert load.broadcasts.duplicate == 0


def test_a_user_who_never_hears_anything_misses_it_all(bench: Bench) -> None:
    bench.faults.deliver = lambda user, _: int(user != "user-3")
    bench.scenario = LONGER
    bench.drain_timeout_s = 0.5
    load, market = bench.run()
    joined_us = outcome.read(bench.directory / "there.outcome.json").settled_us
    during = [at_us for at_us in market.published_us if joined_us < at_us <= load.ended_at_s * 1e6]
    assert load.broadcasts.missed == len(during) > 3


def test_users_who_cannot_connect_have_failed_with_the_reason(bench: Bench) -> None:
    bench.faults = Faults(refused=frozenset({"user-0"}), hung=frozenset({"user-1"}))
    bench.handshake_timeout_s = 0.5
    bench.audience = 4
    load, _ = bench.run()
    assert (load.users.connected, load.users.failed, load.users.lost) == (4, 2, 0)
    dropped = load.errors.pop("dropped:not-connected")
    assert dropped == sum(action.user in (0, 1) for action in scheduled(QUICK)) - 2
    assert load.errors == {"connect:TimeoutError": 1, "http:403": 1}


def test_what_users_without_a_connection_were_to_do_counts_with_its_age_at_the_end(bench: Bench) -> None:
    bench.faults = Faults(refused=frozenset({"user-0"}), hung=frozenset({"user-1"}))
    bench.handshake_timeout_s = 0.5
    bench.audience = 4
    load, _ = bench.run()
    due = {
        "handshake": planned(QUICK, Kind.CONNECT),
        "read": planned(QUICK, Kind.JOIN) + 2 * 4,
        "prediction": planned(QUICK, Kind.PLACE),
    }
    theirs = Counter(action.kind for action in scheduled(QUICK) if action.user in (0, 1))
    undone = {
        "handshake": theirs[Kind.CONNECT],
        "read": theirs[Kind.JOIN],
        "prediction": theirs[Kind.PLACE],
    }
    for quantity, count in due.items():
        measured = load.latency[quantity]
        assert (measured.due, measured.all.count) == (count, count)
        assert measured.answered == count - undone[quantity]
    first_s = {
        kind: min(a.at_s for a in scheduled(QUICK) if a.user in (0, 1) and a.kind is kind) for kind in Kind
    }
    for quantity, kind in (("handshake", Kind.CONNECT), ("read", Kind.JOIN), ("prediction", Kind.PLACE)):
        longest = load.latency[quantity].all.max
        assert longest is not None
        assert longest >= (QUICK.end_s + QUICK.linger_s - first_s[kind]) * 1000 - 50


def test_a_user_who_is_let_in_late_acts_late_from_when_it_was_due(bench: Bench) -> None:
    late_s = 1.0
    bench.faults = Faults(late_s={"user-0": late_s})
    load, _ = bench.run()
    (join,) = (action for action in scheduled(QUICK) if action.user == 0 and action.kind is Kind.JOIN)
    first = min(action.at_s for action in scheduled(QUICK) if action.user == 0 and action.kind is Kind.PLACE)
    for quantity, due_s in (("handshake", 0.0), ("read", join.at_s), ("prediction", first)):
        longest = load.latency[quantity].all.max
        assert longest is not None
        assert longest == pytest.approx((late_s - due_s) * 1000, abs=150)
    assert load.errors == {}


def test_what_users_were_still_to_do_when_they_were_lost_counts_too(bench: Bench) -> None:
    bench.faults = Faults(kicked={"user-0": 4408})
    bench.audience = 5
    load, _ = bench.run()
    predictions = sum(a.user == 0 and a.kind is Kind.PLACE for a in scheduled(QUICK))
    assert load.errors == {"close:4408": 1, "dropped:not-connected": predictions}
    assert (
        load.latency["prediction"].all.count == load.latency["prediction"].due == planned(QUICK, Kind.PLACE)
    )
    assert load.latency["prediction"].answered == planned(QUICK, Kind.PLACE) - predictions
    assert load.latency["read"].answered == 3 * 6 - 2
    assert load.unanswered == []


def test_users_who_are_disconnected_are_lost_with_the_close_code(bench: Bench) -> None:
    bench.faults = Faults(kicked={"user-0": 4408, "user-1": 1001, "user-2": 1006})
    bench.audience = 3
    load, _ = bench.run()
    assert (load.users.connected, load.users.failed, load.users.lost) == (6, 0, 3)
    load.errors.pop("dropped:not-connected")
    assert load.errors == {"close:1001": 1, "close:1006": 1, "close:4408": 1}
    assert load.broadcasts.missed == 0


def test_a_certificate_for_another_name_is_refused(bench: Bench) -> None:
    bench.host = "127.0.0.1"
    load, market = bench.run()
    assert load.users.failed == 6
    assert connect_errors(load) == {"connect:SSLCertVerificationError": 6}
    assert market.connections == {}


def test_a_certificate_of_another_authority_is_refused(bench: Bench) -> None:
    bench.ca_file = Path("/etc/ssl/certs/ca-certificates.crt")
    load, _ = bench.run()
    assert connect_errors(load) == {"connect:SSLCertVerificationError": 6}


def test_a_port_where_nobody_listens_is_refused(bench: Bench) -> None:
    async def run() -> Load:
        (bench.directory / "tokens").write_text("".join(f"u{number}\tt\n" for number in range(6)))
        plans = plan.divide(
            ["here"],
            QUICK,
            url="wss://localhost:9/ws",
            ca_file=bench.certificate[0],
            tokens_file=bench.directory / "tokens",
            directory=bench.directory,
        )
        return await coordinator.run(plans, coordinator.spawn_here, bench.directory)

    assert connect_errors(asyncio.run(run())) == {"connect:ConnectionRefusedError": 6}


def test_progress_is_the_sum_over_the_workers_and_only_grows(sound: tuple[Load, Market, Bench]) -> None:
    load, _, bench = sound
    assert bench.seen
    assert all(progress.users == 6 for progress in bench.seen)
    assert bench.seen[-1].connected == 6
    requests = [progress.requests for progress in bench.seen]
    assert requests == sorted(requests)
    assert requests[-1] <= load.requests
