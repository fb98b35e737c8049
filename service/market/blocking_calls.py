"""Questions to the Redis master from a process that may wait for the answers."""

from __future__ import annotations

from typing import TypeVar

import redis

from market import keys
from market.scripts import Command
from market.store import Call, Failure, ReplyError

T = TypeVar("T")


class Master:
    """Asks over one client of the master; what the connection raises is for the caller."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def ask(self, call: Call[T]) -> T | Failure:
        """The answer, or why there is none.

        Raises:
            redis.RedisError: when the server cannot be asked; what was asked may have been done.
        """
        try:
            return call.read(self._execute(call.command))
        except redis.exceptions.NoScriptError:
            if call.script is None:
                raise
            self._execute(("SCRIPT", "LOAD", call.script.text))
            return self.ask(Call(call.command, call.read))
        except (redis.exceptions.ReadOnlyError, redis.exceptions.OutOfMemoryError):
            raise
        except redis.ResponseError as error:
            return call.read(ReplyError(str(error)))

    def make_group(self, group: str) -> None:
        """Have a consumer group of the events, which begins with those that come from now on."""
        try:
            self._client.xgroup_create(keys.EVENTS, group, id="$", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    def wait_for_event(self, group: str, consumer: str, patience_ms: int) -> None:
        """Until an event came that no other consumer of the group was woken by, or the time is over."""
        self._client.xreadgroup(group, consumer, {keys.EVENTS: ">"}, count=100, block=patience_ms, noack=True)

    def _execute(self, command: Command) -> object:
        reply: object = self._client.execute_command(*command)  # type: ignore[no-untyped-call]
        return reply
