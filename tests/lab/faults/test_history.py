"""When all were served again, from the clients' records."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lab.faults import records
from lab.faults.history import History
from lab.faults.records import (
    Acknowledged,
    Failed,
    Idle,
    Joined,
    Lost,
    Pushed,
    Record,
    Refused,
    Sent,
    StateLost,
)

REGIONS = {"user-0": "eu-west-1", "user-1": "sa-east-1"}


def history(*lines: Record) -> History:
    made = History(REGIONS)
    for line in lines:
        made.add(line)
    return made


def joined(at_s: float, user: str, connection: int = 1) -> Joined:
    return Joined(at_s, user, connection, "new", 0, 0)


def acknowledged(at_s: float, user: str, sent_s: float, key: str = "k") -> Acknowledged:
    return Acknowledged(at_s, user, key, sent_s, 1, f"{int(at_s * 1000)}-0", duplicate=False)


def test_served_is_who_gets_a_receipt_for_what_was_sent_since() -> None:
    seen = history(
        acknowledged(10.2, "user-0", sent_s=9.9),
        acknowledged(11.5, "user-0", sent_s=11.0),
        acknowledged(12.5, "user-0", sent_s=12.0),
        acknowledged(13.0, "user-1", sent_s=12.0),
    )
    assert seen.served_after(10.0) == {"eu-west-1": 1.5, "sa-east-1": 3.0}
    assert seen.served(["sa-east-1"], 10.0)
    assert not seen.served(["eu-west-1", "sa-east-1"], 12.1)


def test_receipts_of_two_generators_may_come_in_a_little_out_of_order() -> None:
    seen = history(acknowledged(11.0, "user-1", sent_s=10.5), acknowledged(10.8, "user-0", sent_s=10.1))
    assert seen.served(["eu-west-1", "sa-east-1"], 10.0)


def test_complete_again_is_when_the_last_one_is_back() -> None:
    seen = history(joined(1.0, "user-0"), joined(2.0, "user-1"))
    assert seen.complete_after(5.0) == 0.0
    seen.add(Lost(6.0, "user-1", 1, 1006))
    assert not seen.complete
    assert seen.complete_after(5.0) is None
    seen.add(joined(8.5, "user-1", 2))
    assert seen.complete
    assert seen.complete_after(5.0) == 3.5
    assert seen.complete_after(9.0) == 0.0


def test_drops_failures_and_answers_to_a_pause_are_counted() -> None:
    seen = history(
        joined(1.0, "user-0"),
        Lost(2.0, "user-0", 1, 1006),
        Failed(3.0, "user-0", "http:502"),
        Failed(4.0, "user-0", "http:502"),
        Idle(5.0, 1),
    )
    assert (seen.drops, seen.failures) == ({1006: 1}, {"http:502": 2})
    assert (seen.idle(1), seen.idle(2)) == (1, 0)


@given(
    st.sampled_from(
        [
            joined(1.5, "user-0"),
            StateLost(1.5, "user-0", 1, 2, 3),
            Lost(1.5, "user-0", 1, 1001),
            Failed(1.5, "user-0", "connect:TimeoutError"),
            Sent(1.5, "user-0", "k", "winner", 1, 10),
            acknowledged(1.5, "user-0", 1.0),
            Refused(1.5, "user-0", "k", 4092),
            Pushed(1.5, "user-0", 1, 2, 3, "content"),
            Idle(1.5, 1),
        ]
    )
)
def test_a_record_is_what_was_written_down(record: Record) -> None:
    assert records.decode(records.encode(record)) == record
