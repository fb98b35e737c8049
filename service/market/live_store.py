"""The store that never waits: one round trip to the nearest Redis to read, one to the master to write."""

from __future__ import annotations

from market import keys, scripts
from market.protocol import Game, PlacePrediction, Pool
from market.redis_link import CommandLink
from market.settings import Settings, read_secret
from market.store import Done, Receipt, read_flush, read_game_exists, read_games, read_place, read_pools


class LiveStore:
    """See `market.store.Store`."""

    def __init__(self, settings: Settings) -> None:
        self._flush_interval_ms = settings.flush_interval_ms
        master, read = settings.redis_master, settings.redis_read
        self._master = CommandLink(
            "redis-master", master, read_secret(master.password_file), (scripts.PLACE, scripts.FLUSH)
        )
        self._read = CommandLink("redis-read", read, read_secret(read.password_file), (scripts.POOLS,))

    async def start(self) -> None:
        """See `Store.start`."""
        self._master.start()
        self._read.start()

    async def stop(self) -> None:
        """See `Store.stop`."""
        await self._master.stop()
        await self._read.stop()

    def problem(self) -> str | None:
        """See `Store.problem`."""
        return self._master.problem() or self._read.problem()

    def games(self, done: Done[list[Game]]) -> None:
        """See `Store.games`."""
        self._read.submit(("HVALS", keys.GAMES), lambda reply: done(read_games(reply)))

    def game_exists(self, game: str, done: Done[bool]) -> None:
        """See `Store.game_exists`."""
        self._read.submit(("HEXISTS", keys.GAMES, game), lambda reply: done(read_game_exists(reply)))

    def pools(self, game: str, done: Done[list[Pool]]) -> None:
        """See `Store.pools`."""
        self._read.evaluate(scripts.POOLS, scripts.pools(game), lambda reply: done(read_pools(reply)))

    def place(self, user: str, request: PlacePrediction, done: Done[Receipt]) -> None:
        """See `Store.place`."""
        command = scripts.place(user, request, self._flush_interval_ms)
        self._master.evaluate(scripts.PLACE, command, lambda reply: done(read_place(reply)))

    def flush(self, pool: str, done: Done[int]) -> None:
        """See `Store.flush`."""
        command = scripts.flush(pool, self._flush_interval_ms)
        self._master.evaluate(scripts.FLUSH, command, lambda reply: done(read_flush(reply)))
