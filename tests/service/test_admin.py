"""The command line of administrators, and the replay of a recorded match."""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from market import cli, keys, replay
from market.commands.admin import AdministrationError, app
from market.protocol import Event
from market.replay import ReplayError
from market.resolver import Resolver
from market.settings import ResolverSettings, Settings
from market.tokens import Signer
from tests.service.administering import GAME, event, fields, journal
from tests.service.conftest import Client, RedisServer, Start, toml
from tests.service.shared_api import running_api, settings_without_sql


@pytest.fixture
def settings_file(settings: Settings, market: Client, tmp_path: Path) -> Path:
    file = tmp_path / "settings.toml"
    resolver = ResolverSettings(takeout=40)
    file.write_text(toml(msgspec.structs.replace(settings, resolver=resolver)), encoding="utf-8")
    return file


def run(file: Path, command: str, *arguments: str) -> str:
    result = CliRunner().invoke(app, [command, "--settings", str(file), *arguments])
    if isinstance(result.exception, AdministrationError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


RULE = '{"event":"goal","field":"team","options":{"home":0}}'


@pytest.mark.parametrize("by", ['ann "op"', "a,b", "", "x" * 65])
def test_who_does_it_is_a_name(settings_file: Path, market: Client, by: str) -> None:
    with pytest.raises(AdministrationError, match="a name has letters, digits"):
        run(settings_file, "create-game", "final", "The final", "--by", by)
    assert market.xlen(keys.JOURNAL) == 0


def test_a_game_is_run_by_hand(settings_file: Path, settings: Settings, market: Client) -> None:
    assert run(settings_file, "create-game", "final", "The final") == "done"
    assert run(settings_file, "create-game", "final", "The final") == "duplicate"
    assert run(settings_file, "set-status", "final", "live") == "done"
    options = ("--option", "home", "--option", "away", "--decided-by", RULE, "--closes-in-s", "600")
    assert (
        run(settings_file, "open-pool", "final", "next", "Who is next?", *options, "--by", "anna") == "done"
    )
    assert run(settings_file, "open-pool", "final", "last", "And last?", *options, "--takeout", "0") == "done"
    assert (
        run(settings_file, "event", "final", "goal", "--data", "team=home", "--data", "player=A=B") == "done"
    )
    assert run(settings_file, "event", "final", "goal", "--sequence", "1", "--data", "team=home",
               "--data", "player=A=B") == "duplicate"  # fmt: skip
    assert run(settings_file, "event", "final", "card", "--id", "c1") == "done"
    assert run(settings_file, "void-pool", "final", "last") == "done"
    Resolver(settings, threading.Event(), drain=True).run()
    assert run(settings_file, "close-pool", "final", "next") == "duplicate"
    assert run(settings_file, "resolve-pool", "final", "next", "--winner", "0") == "duplicate"
    shown = [json.loads(line) for line in run(settings_file, "show", "final").splitlines()]
    assert [(pool["id"], pool["status"]) for pool in shown[:2]] == [("next", "resolved"), ("last", "voided")]
    assert (fields(market)["takeout"], fields(market, "last")["takeout"]) == ("40", "0")
    opened = [entry["body"] for entry in journal(market, "pool") if entry["body"]["status"] == "open"]
    assert [body["by"] for body in opened[:2]] == ["anna", "operator"]
    told = [entry["body"]["event"] for entry in journal(market, "event")]
    assert [(each["id"], each["sequence"]) for each in told] == [("by-hand-1", 1), ("c1", 2)]
    assert told[0]["data"] == {"team": "home", "player": "A=B"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("create-game", "a b", "T"), "game"),
        (("create-game", GAME, "Another"), "taken by another"),
        (("set-status", GAME, "over"), "over"),
        (("set-status", "nowhere", "live"), "no such game"),
        (("open-pool", GAME, "next", "?", "--option", "a"), "options"),
        (("open-pool", GAME, "next", "?", "--option", "a", "--option", "a"), "name each once"),
        (("open-pool", GAME, "next", "?", "--option", "a", "--option", "b", "--decided-by", "{"), "rule"),
        (("close-pool", GAME, "nowhere"), "no such pool"),
        (("resolve-pool", GAME, "winner", "--winner", "3"), "no such option"),
        (("event", GAME, "goal", "--data", "team"), "NAME=VALUE"),
        (("event", GAME, "go al"), "kind"),
        (("show", "nowhere"), "no such game"),
    ],
)
def test_a_mistake_is_told_what_to_do(
    settings_file: Path, market: Client, arguments: tuple[str, ...], told: str
) -> None:
    with pytest.raises(AdministrationError, match=told):
        run(settings_file, *arguments)
    assert journal(market) == []


def test_they_are_commands_of_the_service() -> None:
    command: Any = typer.main.get_command(cli.app)
    assert {"admin", "feed", "replay", "resolver"} <= set(command.commands)


def test_without_redis_it_says_which(settings_file: Path, settings: Settings) -> None:
    nowhere = msgspec.structs.replace(settings.redis_master, port=1)
    settings_file.write_text(toml(msgspec.structs.replace(settings, redis_master=nowhere)), encoding="utf-8")
    with pytest.raises(AdministrationError, match=r"redis 127\.0\.0\.1:1: "):
        run(settings_file, "show", GAME)


def test_a_recorded_match_is_told_to_a_feed_once(
    tmp_path: Path,
    start: Start,
    master: RedisServer,
    password_file: Path,
    token_key_file: Path,
    market: Client,
    signer: Signer,
) -> None:
    events = replay.read(None)
    token = signer.issue("replay", 60, scopes=["feed"])
    told: list[tuple[Event, bool]] = []
    settings = settings_without_sql(master, password_file, token_key_file)
    fast = float("inf")
    with running_api(settings, tmp_path, command="feed") as feed:
        where = str(feed.path)
        command = start("replay", settings, "--feed", where, "--speed", "inf", "--game", "match-1")
        assert command.process.wait(30) == 0, command.log()
        market.delete(keys.JOURNAL, keys.seen(GAME))
        assert replay.replay(events, where, token, speed=fast, told=lambda *each: told.append(each)) == 43
        assert replay.replay(events, where, token, speed=fast) == 0
        with pytest.raises(ReplayError, match="no such game"):
            replay.replay(events, where, token, speed=fast, game="nowhere")
        with pytest.raises(ReplayError, match="scope"):
            replay.replay(events, where, signer.issue("u", 60), speed=fast)
        with pytest.raises(ReplayError, match="refuses the connection"):
            replay.replay(events, where, "a.b.c", speed=fast)
    command.reader.join()
    assert command.log().count("final-") == len(events)
    assert [(each.id, new) for each, new in told] == [(each.id, True) for each in events]
    taken = [entry["body"]["event"]["id"] for entry in journal(market, "event")]
    assert taken == [each.id for each in events]


def test_events_are_told_at_their_distances_divided_by_the_speed() -> None:
    events = [msgspec.structs.replace(event(1), at_ms=at_ms) for at_ms in (5_000, 65_000, 6_005_000)]
    assert replay.offsets_s(events, 60) == [0.0, 1.0, 100.0]
    assert replay.offsets_s(events, float("inf")) == [0.0, 0.0, 0.0]


def test_a_feed_that_comes_back_is_told_the_rest(
    tmp_path: Path,
    master: RedisServer,
    password_file: Path,
    token_key_file: Path,
    market: Client,
    signer: Signer,
) -> None:
    settings = settings_without_sql(master, password_file, token_key_file)
    token = signer.issue("replay", 60, scopes=["feed"])
    with contextlib.ExitStack() as stack:
        feed = stack.enter_context(running_api(settings, tmp_path, command="feed"))

        def kill(happened: Event, _: bool) -> None:
            if happened.sequence == 2:
                feed.command.process.kill()
                feed.command.process.wait()
                stack.enter_context(running_api(settings, tmp_path, command="feed", path=feed.path))

        events = [event(number) for number in range(1, 5)]
        assert replay.replay(events, str(feed.path), token, speed=float("inf"), told=kill) == 4
    assert market.hlen(keys.seen(GAME)) == 4


def test_the_services_own_match_is_a_whole_one() -> None:
    events = replay.read(None)
    assert [each.sequence for each in events] == list(range(1, len(events) + 1))
    assert len({each.id for each in events}) == len(events)
    assert (events[0].kind, events[-1].kind) == ("kick_off", "full_time")
    minutes = (events[-1].at_ms - events[0].at_ms) / 60_000
    assert 105 < minutes < 115
    goals = [each.data["team"] for each in events if each.kind == "goal"]
    assert events[-1].data == {"score": f"{goals.count('home')}-{goals.count('away')}", "winner": "home"}


@pytest.mark.parametrize(
    ("text", "told"), [("", "no event"), ('\n{"game": "g"}\n', "line 2: .*id"), ("goal", "line 1: ")]
)
def test_a_wrong_recording_is_told_what_is_wrong(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "match.jsonl").write_text(text, encoding="utf-8")
    with pytest.raises(ReplayError, match=told):
        replay.read(tmp_path / "match.jsonl")
    with pytest.raises(ReplayError, match="No such file"):
        replay.read(tmp_path / "none.jsonl")
