"""Questions that come with the events of a match: a file of templates in, pools to open out.

A template says which kind of event opens its pool. Its texts may name the event's data in braces: with
`{player}` in its question, it is asked of events that tell the player. The pool's name follows from the
event, so that an event that is applied again opens nothing twice.
"""

from __future__ import annotations

import hashlib
import string
import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from market.administration import Lapse
from market.limits import MAX_TAKEOUT
from market.match_events import Arrival
from market.protocol import Event, GameStatus, Name, OpenPool, Options, Rule, Title
from market.settings import SettingsError

Text = Annotated[str, Meta(min_length=1, max_length=200)]
Takeout = Annotated[int, Meta(ge=0, le=MAX_TAKEOUT)]


class Template(Struct, frozen=True, forbid_unknown_fields=True):
    """A question that an event of the kind `on` opens, if its data are those of `where`.

    `closes_in_s` counts from the arrival of the event; `takeout` (permille) is the settings' by default.
    """

    name: Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9_-]+\Z")]
    on: Name
    question: Text
    options: Annotated[list[Text], Meta(min_length=2, max_length=64)]
    decided_by: Rule | None = None
    lapses_with: Lapse | None = None
    closes_in_s: Annotated[int, Meta(ge=5, le=86_400)] | None = None
    takeout: Takeout | None = None
    where: dict[Name, str] = {}


class Templates(Struct, frozen=True, forbid_unknown_fields=True):
    """The questions, and which kinds of events begin and end a game."""

    question: list[Template] = []
    status: dict[Name, GameStatus] = {}


class Question(Struct, frozen=True):
    """A pool to open, and what it lapses with."""

    request: OpenPool
    lapse: Lapse | None


class QuestionError(Exception):
    """A template's texts do not make a question with the data of an event."""


class _Texts(Struct):
    question: Title
    options: Options


def load(path: str | None) -> Templates:
    """The templates in a TOML file, None for those that come with the service.

    Raises:
        SettingsError: when the file cannot be read, or a template is wrong; the message says which.
    """
    try:
        if path is None:
            text = resources.files("market").joinpath("questions.toml").read_text(encoding="utf-8")
        else:
            text = Path(path).read_text(encoding="utf-8")
        templates = msgspec.convert(tomllib.loads(text), Templates)
    except OSError as error:
        raise SettingsError(f"cannot read the templates {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the templates {path} are not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise SettingsError(f"the templates {path} are wrong: {error}") from error
    mistakes = [f"{each.name}: {mistake}" for each in templates.question for mistake in _mistakes(each)]
    names = [each.name for each in templates.question]
    mistakes += [
        f"{name}: there are several of this name" for name in sorted(set(names)) if names.count(name) > 1
    ]
    if mistakes:
        raise SettingsError(f"the templates {path} are wrong: " + "; ".join(mistakes))
    return templates


def _mistakes(template: Template) -> list[str]:
    mistakes = []
    for text in (template.question, *template.options):
        try:
            fields = list(_fields(text))
        except ValueError as error:
            mistakes.append(f"{text!r}: {error}; write a brace twice to show it")
        else:
            if not all(field.isidentifier() for field in fields):
                mistakes.append(f"{text!r}: name one of the event's data between braces, as in {{player}}")
    rule, lapse = template.decided_by, template.lapses_with
    named = {*rule.options.values(), rule.otherwise} if rule else set()
    named.add(lapse.option if lapse else None)
    mistakes += [
        f"there is no option {option}; the first one is 0"
        for option in sorted(option for option in named if option is not None)
        if option >= len(template.options)
    ]
    return mistakes


def _fields(text: str) -> Iterator[str]:
    for _, field, form, conversion in string.Formatter().parse(text):
        if field is not None:
            yield field if not (form or conversion) else f"{field}!{conversion}:{form}"


def questions(templates: Templates, arrival: Arrival, takeout: int) -> tuple[list[Question], list[str]]:
    """The pools that an event opens, and what is to be said of templates that do not fit its data."""
    event = arrival.event
    opened, said = [], []
    for template in templates.question:
        if template.on != event.kind or any(event.data.get(k) != v for k, v in template.where.items()):
            continue
        try:
            opened.append(_question(template, arrival, takeout))
        except QuestionError as error:
            said.append(f"the event {event.id} asks no question {template.name}: {error}")
    return opened, said


def pool_name(template: str, event: Event) -> str:
    """The name of the pool that a template opens with an event."""
    place = f"{event.game} {event.id}".encode()
    return f"{template}-{hashlib.blake2b(place, digest_size=8).hexdigest()}"


def _question(template: Template, arrival: Arrival, takeout: int) -> Question:
    event = arrival.event
    try:
        texts = [text.format_map(event.data) for text in (template.question, *template.options)]
        msgspec.convert({"question": texts[0], "options": texts[1:]}, _Texts)
    except KeyError as error:
        raise QuestionError(f"it does not tell {error.args[0]}") from error
    except msgspec.ValidationError as error:
        raise QuestionError(str(error)) from error
    closes_in_s = template.closes_in_s
    return Question(
        OpenPool(
            id=0,
            game=event.game,
            pool=pool_name(template.name, event),
            question=texts[0],
            options=texts[1:],
            takeout=takeout if template.takeout is None else template.takeout,
            closes_at_ms=None if closes_in_s is None else arrival.arrived_ms + closes_in_s * 1000,
            decided_by=template.decided_by,
        ),
        template.lapses_with,
    )
