"""What a pull request changes in the stacks, as a comment for its reviewer.

    python -m infra.review FOLDER

The folder has, for each stack, the JSON of `isochrone preview STACK --json --against REF` in `STACK.json`, or
in `STACK.err` why there is none.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

MARKER: Final = "<!-- isochrone-preview -->"
"""The first line, by which the comment is found again."""

_MOST_LINES: Final = 300
"""The lines that all stacks have together for what differs: GitHub takes comments of 65,536 characters."""

_MOST_CHARACTERS: Final = 160
"""How long a line may be."""

_SIGNS: Final = {"removed": "-", "added": "+", "changed": "!"}


def comment(previews: Mapping[str, Mapping[str, Any]], failures: Mapping[str, str]) -> str:
    """The comment, in GitHub's Markdown.

    Args:
        previews: the preview of each stack, with what it changes, as JSON.
        failures: why a stack has no preview.
    """
    return "\n".join([MARKER, "## What this changes", "", *_lines(previews, failures), ""])


def _lines(previews: Mapping[str, Mapping[str, Any]], failures: Mapping[str, str]) -> Iterator[str]:
    most = _MOST_LINES // max(1, len(previews) + len(failures))
    if previews:
        columns = ("resources", "added", "removed", "changed", "$ per hour", "$ per month", "difference")
        yield f"| stack | {' | '.join(columns)} |"
        yield "|---|" + "--:|" * len(columns)
        yield from (_row(stack, told) for stack, told in previews.items())
        yield ""
    for stack, why in failures.items():
        yield f"**{_code(stack)} has no preview:**"
        yield from _block("text", why.strip().splitlines(), most)
    for stack, told in previews.items():
        if different := list(_differences(told["changes"])):
            against = _code(told["changes"]["against"])
            yield f"<details><summary>{_code(stack)}: {len(different)} resources differ</summary>"
            yield f"\nAgainst {against}; `!` is changed."
            yield from _block("diff", different, most)
            yield "</details>\n"
    for note in dict.fromkeys(note for told in previews.values() for note in told["cost_notes"][:1]):
        yield f"- Cost: {_plain(note)}."
    for stack, told in previews.items():
        yield from (f"- {_code(stack)}: {_code(warning)}" for warning in told["warnings"])


def _row(stack: str, told: Mapping[str, Any]) -> str:
    own = [each for each in told["resources"] if not each["type"].startswith("isochrone:")]
    counts = [len(own), *(len(told["changes"][kind]) for kind in ("added", "removed", "changed"))]
    hour, month = told["cost_per_hour"], told["cost_per_month"]
    costs = (
        ["", "", ""]
        if hour is None
        else [f"{hour:.3f}", f"{month:,.0f}", f"{told['changes']['usd_per_hour']:+.3f}"]
    )
    return f"| {' | '.join([_code(stack), *map(str, counts), *costs])} |"


def _differences(changes: Mapping[str, Any]) -> Iterator[str]:
    for kind, sign in _SIGNS.items():
        for each in changes[kind]:
            keys = f": {', '.join(each['keys'])}" if each["keys"] else ""
            place = each["region"] or "global"
            yield f"{sign} {each['type'].rpartition(':')[2]} {each['name']} ({place}){keys}"


def _block(language: str, lines: Sequence[str], most: int) -> Iterator[str]:
    """A fenced block: what is in it comes from the pull request, and neither ends it nor calls anybody."""
    yield f"\n```{language}"
    yield from (_plain(line)[:_MOST_CHARACTERS] for line in lines[:most])
    if len(lines) > most:
        yield f"... and {len(lines) - most} more"
    yield "```\n"


def _code(text: str) -> str:
    return f"`{_plain(text)[:_MOST_CHARACTERS].replace('|', '/')}`"


def _plain(text: str) -> str:
    return text.replace("`", "'").replace("\n", " ")


def read(folder: Path) -> tuple[Mapping[str, Mapping[str, Any]], Mapping[str, str]]:
    """The previews in a folder, and the reasons why there is none, by stack."""
    previews = {
        path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))
    }
    failures = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.err"))}
    return previews, failures


if __name__ == "__main__":
    sys.stdout.write(comment(*read(Path(sys.argv[1]))))
