"""Asks AWS many things at once while the program waits, and tells what it did not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.runtime.sync_await import _sync_await


@dataclass(frozen=True)
class NoAnswer:
    """AWS did not say, for the provider's `reason`."""

    reason: str


def ask(questions: Mapping[Any, pulumi.Output[Any]]) -> dict[Any, Any]:
    """The answers to all questions, which are under way at the same time; `NoAnswer` where there is none.

    The program goes on only when they are there, so that it can refuse before it declares anything. The SDK
    waits in the same way for its own look-ups, one at a time.
    """
    answers = [question.recover(lambda error: NoAnswer(str(error))) for question in questions.values()]

    async def all_of_them() -> list[Any]:
        return list(await asyncio.gather(*(answer.future() for answer in answers)))

    return dict(zip(questions, _sync_await(all_of_them()), strict=True))


def warn(what: str, answers: Mapping[str, Any]) -> None:
    """Warn of all that AWS did not say, with the first reason."""
    silent = {name: answer.reason for name, answer in answers.items() if isinstance(answer, NoAnswer)}
    if silent:
        pulumi.log.warn(f"{what}: {', '.join(silent)}; the first reason: {next(iter(silent.values()))}")
