"""A comparison as tables on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bench.answers import TITLES, answers, typical_ms
from bench.checks import asked, checks
from bench.result import LATENCIES, ArchitectureResult, Range, Result
from bench.wording import UNKNOWN, bare_ms, dollars, listing, number, spread

LATENCY_NOTE = (
    "Medians are the mean of the regions' medians; 98th percentiles are over all users. "
    "The users' ramp counts, but for the spread."
)

_METERS = {"crum": "CRUM", "spm": "SPM", "slm": "SLM (10¹²)", "sec": "SEC"}


def show(result: Result, console: Console) -> None:
    """Print the comparison, the control's own table when there is one, and the answers."""
    console.print(comparison(result.architectures, _title(result)))
    console.print()
    if result.blocking:
        console.print(comparison(result.blocking, "The control: blocking database calls"))
        console.print()
    console.print(Text(LATENCY_NOTE, style="dim"), soft_wrap=not console.is_terminal)
    console.print()
    if result.missing:
        console.print(Text(f"Incomplete: {listing(result.missing)} not run.", "bold red"))
        console.print()
    for answer in answers(result):
        console.print(Text(answer.headline, style="bold"))
        console.print(Text(" ".join(answer.sentences)), soft_wrap=not console.is_terminal)
        if answer.detail:
            console.print(Text(answer.detail, style="dim"), soft_wrap=not console.is_terminal)
        console.print()


def _title(result: Result) -> str:
    run = result.run
    if run is None:
        return "Comparison"
    return (
        f"{run.users:,} users, ramp {run.ramp_s:g} s, {run.duration_s:g} s at full load, "
        f"delays of {run.matrix}, {run.data_path} data path"
    )


def comparison(architectures: Mapping[str, ArchitectureResult], title: str) -> Table:
    """One column per architecture.

    Latencies are in milliseconds: the mean of the regions' medians and the 98th percentile over all users.
    """
    table = Table(title=escape(title), title_justify="left", header_style="bold", show_edge=False)
    table.add_column("", no_wrap=True)
    for name in architectures:
        table.add_column(escape(name), justify="right")
    runs = list(architectures.values())

    def row(name: str, cells: Iterable[str | Text], *, end: bool = False) -> None:
        table.add_row(
            name, *(Text(cell) if isinstance(cell, str) else cell for cell in cells), end_section=end
        )

    row("Users connected", (f"{run.users.connected:,} of {run.users.requested:,}" for run in runs), end=True)
    for quantity in LATENCIES:
        last = quantity == LATENCIES[-1]
        typical = typical_ms(quantity, architectures)
        cells = (_pair(typical[name], _p98(run, quantity)) for name, run in architectures.items())
        row(f"{TITLES[quantity]} median / p98 ms", cells, end=last)
    row("Spread of a broadcast ms", (spread(run.broadcast_spread_ms) for run in runs))
    row("Requests answered, of due", (_good(*_requests(run)) for run in runs))
    row("Broadcasts missed", (_good(f"{run.broadcasts.missed:,}", not run.broadcasts.missed) for run in runs))
    row("Errors", (_good(f"{sum(run.errors.values()):,}", not sum(run.errors.values())) for run in runs))
    row("Ledger", (_good(_ledger(run), run.ledger.balanced) for run in runs))
    row("Load generator", (_good(*_generator(run)) for run in runs), end=True)
    for key, name in _METERS.items():
        row(f"{name} avg", (number(_meter(run, key).avg) for run in runs))
    row("ESS", (number(run.meters.ess) for run in runs))
    row("ESR ratio", (number(run.meters.esr.ratio) for run in runs))
    row("Cost per hour", (dollars(run.cost_per_hour) for run in runs))
    failed = {name: [c for c in checks(run) if not c.ok] for name, run in architectures.items()}
    if any(failed.values()):
        table.caption_justify = "left"
        table.caption = Text(
            "\n".join(f"{name}: {c.name}: {c.text}" for name, found in failed.items() for c in found),
            "yellow",
        )
    return table


def _p98(run: ArchitectureResult, quantity: str) -> float | None:
    latency = run.latency_ms.get(quantity)
    return latency.all.p98 if latency else None


def _pair(p50: float | None, p98: float | None) -> str:
    return f"{bare_ms(p50)} / {bare_ms(p98)}"


def _good(text: str, ok: bool) -> Text:
    return Text(text, style="" if ok else "bold red")


def _ledger(run: ArchitectureResult) -> str:
    if run.ledger.balanced:
        return f"{run.ledger.rows:,} rows, balanced"
    return f"{run.ledger.rows:,} rows, {run.ledger.missing:,} missing, {run.ledger.duplicate:,} twice"


def _requests(run: ArchitectureResult) -> tuple[str, bool]:
    counts = asked(run)
    return (f"{counts[0]:,} of {counts[1]:,}", counts[0] == counts[1]) if counts else (UNKNOWN, True)


def _generator(run: ArchitectureResult) -> tuple[str, bool]:
    lag = f"lag {bare_ms(run.generator.lag_p98_ms)} ms"
    return (f"{lag}, saturated", False) if run.generator.saturated else (lag, True)


def _meter(run: ArchitectureResult, key: str) -> Range:
    pick: dict[str, Callable[[], Range]] = {
        "crum": lambda: run.meters.crum,
        "spm": lambda: run.meters.spm,
        "slm": lambda: run.meters.slm,
        "sec": lambda: run.meters.sec,
    }
    return pick[key]()


def meters(found: Mapping[str, object]) -> Table:
    """The meters that `bench.meter_file.compute` found, as a table."""
    table = Table(header_style="bold", show_edge=False)
    table.add_column("")
    for name in ("min", "avg", "max"):
        table.add_column(name, justify="right")
    names = {**_METERS, "cost_per_hour": "Cost per hour ($)", "ess": "ESS"}
    for key, name in names.items():
        value = found.get(key)
        if isinstance(value, Mapping):
            table.add_row(name, *(number(value[point]) for point in ("min", "avg", "max")))
        elif key in found:
            table.add_row(name, "", number(value if isinstance(value, float) else None), "")
    esr = found.get("esr")
    if isinstance(esr, Mapping):
        table.add_row("ESR difference", "", number(esr["difference"]), "")
        table.add_row("ESR ratio", "", number(esr["ratio"]), "")
    return table
