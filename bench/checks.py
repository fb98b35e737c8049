"""Whether a run can be trusted: everybody connected and stayed, the money adds up, the machine kept up."""

from __future__ import annotations

from dataclasses import dataclass

from bench.result import ArchitectureResult
from bench.wording import ms, plural


@dataclass(frozen=True)
class Check:
    """One condition on a run, whether it held, and the figures."""

    name: str
    ok: bool
    text: str


def checks(run: ArchitectureResult) -> list[Check]:
    """The conditions of a trustworthy run, in the order in which they are shown."""
    return [_users(run), _requests(run), _broadcasts(run), _errors(run), _ledger(run), _generator(run)]


def _users(run: ArchitectureResult) -> Check:
    users = run.users
    ok = users.connected == users.requested and users.failed == 0 and users.lost == 0
    text = f"{users.connected:,} of {users.requested:,} connected"
    if users.failed:
        text += f", {users.failed:,} failed"
    text += f", {users.lost:,} lost" if users.lost else ", none lost"
    return Check("Users", ok, text)


def asked(run: ArchitectureResult) -> tuple[int, int] | None:
    """How many reads and predictions were answered, and how many were due; None where nobody counted."""
    counts = [
        (latency.answered, latency.due)
        for quantity in ("read", "prediction")
        if (latency := run.latency_ms.get(quantity)) and latency.due is not None
    ]
    if not counts:
        return None
    return sum(answered or 0 for answered, _ in counts), sum(due or 0 for _, due in counts)


def _requests(run: ArchitectureResult) -> Check:
    found = asked(run)
    if found is None:
        return Check("Requests", True, "not counted by the version that ran it")
    answered, due = found
    text = f"{answered:,} of the {due:,} that were due answered"
    if answered < due:
        text += "; what was not enters with its age at the end, a lower bound, unless it was refused"
    return Check("Requests", answered == due, text)


def _broadcasts(run: ArchitectureResult) -> Check:
    found = run.broadcasts
    missed = f"{found.missed:,} missed" if found.missed else "none missed"
    twice = f", {found.duplicate:,} twice" if found.duplicate else ""
    early = f", {found.early:,} before they were published: the clocks differ" if found.early else ""
    return Check(
        "Broadcasts",
        not (found.missed or found.duplicate),
        f"{found.received:,} received, {missed}{twice}{early}",
    )


def _errors(run: ArchitectureResult) -> Check:
    count = sum(run.errors.values())
    if not count:
        return Check("Errors", True, "none")
    kinds = ", ".join(f"{code}: {n:,}" for code, n in sorted(run.errors.items(), key=lambda item: -item[1]))
    return Check("Errors", False, f"{plural(count, 'error')} ({kinds})")


def _ledger(run: ArchitectureResult) -> Check:
    found = run.ledger
    text = f"{found.acknowledged:,} acknowledged, {found.rows:,} rows"
    for count, what in (
        (found.missing, "missing"),
        (found.duplicate, "duplicate"),
        (found.unexplained, "unexplained"),
    ):
        if count:
            text += f", {count:,} {what}"
    text += ", balanced" if found.balanced else ", does not balance"
    return Check("Ledger", found.balanced and not (found.missing or found.duplicate), text)


def _generator(run: ArchitectureResult) -> Check:
    found = run.generator
    text = f"lag p98 {ms(found.lag_p98_ms)}"
    if found.cpu_busy is not None:
        text += f", machine {100 * found.cpu_busy:.0f} % busy"
    if found.saturated:
        text += f", saturated{': ' if found.reasons else ''}{'; '.join(found.reasons)}"
    return Check("Load generator", not found.saturated, text)
