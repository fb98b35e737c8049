"""The Redis machines of a home region with standbys: three servers and a Sentinel each, as on the image."""

from __future__ import annotations

import contextlib
import secrets
import signal
import subprocess
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import redis

from ami import render
from market.settings import RedisEndpoint
from tests.service.conftest import Client, end, free_port, until

HERE = "127.0.0.1"
SERVERS = 3


@dataclass
class Server:
    """A process that keeps its file where it may rewrite it, so that it starts again as what it was."""

    config: Path
    port: int
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{HERE}:{self.port}"

    def start(self) -> None:
        with (self.config.parent / "log").open("ab") as log:
            argv = ["redis-server", str(self.config), *self.arguments]
            self.process = subprocess.Popen(argv, stdout=log, stderr=log)

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        assert self.process is not None
        self.signal(signal.SIGKILL)
        self.process.wait()
        self.process = None


@dataclass
class Home:
    """The servers and their Sentinels, and replicas elsewhere."""

    directory: Path
    accounts: render.RedisAccounts = field(
        default_factory=lambda: render.RedisAccounts(
            app=secrets.token_hex(8), replica=secrets.token_hex(8), sentinel=secrets.token_hex(8)
        )
    )
    servers: list[Server] = field(default_factory=list)
    sentinels: list[Server] = field(default_factory=list)
    elsewhere: list[Server] = field(default_factory=list)
    made: int = 0
    append_sync: Literal["everysec", "always"] = "everysec"
    down_after_ms: int = 1000
    hurried: bool = True

    def start(self, *, standbys: bool = True) -> None:
        """Start all of it and wait until the Sentinels know one another and the standbys."""
        self.directory.mkdir()
        self.password_file.write_text(self.accounts.app)
        self.replica_password_file.write_text(self.accounts.replica)
        for number in range(SERVERS if standbys else 1):
            first = self.servers[0].port if self.servers else None
            self.servers.append(self._redis(f"redis-{number}", self.accounts, first))
        if not standbys:
            until(lambda: self.role(self.servers[0])[0] == b"master", "redis")
            return
        for number in range(SERVERS):
            self.sentinels.append(self._sentinel(f"sentinel-{number}"))
        for sentinel in self.sentinels if self.hurried else []:
            until(partial(self._hurry, sentinel), "a sentinel")
        until(self.whole, "the standbys and the sentinels")

    def stop(self) -> None:
        """End all of it."""
        for server in (*self.elsewhere, *self.sentinels, *self.servers):
            if server.process is not None:
                server.signal(signal.SIGCONT)
                end(server.process)

    @property
    def password_file(self) -> Path:
        return self.directory / "app.password"

    @property
    def replica_password_file(self) -> Path:
        return self.directory / "replica.password"

    @property
    def standbys(self) -> tuple[str, ...]:
        """What the settings name so: all servers at home."""
        return tuple(server.address for server in self.servers)

    @property
    def endpoint(self) -> RedisEndpoint:
        """The master, whichever it is."""
        sentinels = tuple(server.address for server in self.sentinels)
        return RedisEndpoint(
            "nowhere.invalid", 6379, str(self.password_file), user="app", sentinels=sentinels
        )

    def client(self, server: Server) -> Client:
        """The app's connection to one server."""
        return redis.Redis(
            host=HERE, port=server.port, username="app", password=self.accounts.app, protocol=2
        )

    def ask_sentinel(self, server: Server, *command: str) -> Any:
        with contextlib.closing(
            redis.Redis(
                host=HERE,
                port=server.port,
                username="sentinel",
                password=self.accounts.sentinel,
                protocol=2,
                decode_responses=True,
            )
        ) as client:
            return client.execute_command("SENTINEL", *command)  # type: ignore[no-untyped-call]

    def role(self, server: Server) -> list[Any]:
        """The answer to ROLE; nothing while the server does not answer."""
        with contextlib.closing(self.client(server)) as client, contextlib.suppress(redis.RedisError):
            reply: list[Any] = client.execute_command("ROLE")
            return reply
        return [None]

    def master(self) -> Server:
        """The server that runs and that every Sentinel calls the master."""
        found: list[Server] = []

        def agreed() -> bool:
            named = {tuple(self.ask_sentinel(s, "GET-MASTER-ADDR-BY-NAME", "market")) for s in self.sentinels}
            found[:] = [s for s in self.servers if named == {(HERE, str(s.port))} and s.process]
            return bool(found) and self.role(found[0])[0] == b"master"

        until(agreed, "one master")
        return found[0]

    def others(self, master: Server) -> list[Server]:
        return [server for server in self.servers if server is not master]

    def _hurry(self, sentinel: Server) -> bool:
        """Have a Sentinel look more often than once in some seconds, so that a failover takes 2 s."""
        with contextlib.suppress(redis.RedisError):
            periods = {
                "INFO-PERIOD": "300",
                "PUBLISH-PERIOD": "200",
                "PING-PERIOD": "300",
                "ASK-PERIOD": "200",
            }
            self.ask_sentinel(sentinel, "DEBUG", *(word for period in periods.items() for word in period))
            return True
        return False

    def whole(self) -> bool:
        """Whether every server at home serves, two follow the third, and the Sentinels know all of them."""
        roles = [self.role(server) for server in self.servers]
        masters = [role for role in roles if role[0] == b"master"]
        following = [role for role in roles if role[0] == b"slave" and role[3] == b"connected"]
        if len(masters) != 1 or len(following) != SERVERS - 1 or len(masters[0][2]) < SERVERS - 1:
            return False
        for sentinel in self.sentinels:
            with contextlib.suppress(redis.RedisError):
                reply = self.ask_sentinel(sentinel, "MASTER", "market")
                state = dict(zip(reply[::2], reply[1::2], strict=True))
                if (state["num-other-sentinels"], state["flags"]) != (str(SERVERS - 1), "master"):
                    return False
                names = {f"{HERE}:{s.port}" for s in self.servers} - {f"{state['ip']}:{state['port']}"}
                known = [
                    dict(zip(r[::2], r[1::2], strict=True))
                    for r in self.ask_sentinel(sentinel, "REPLICAS", "market")
                ]
                if not names <= {r["name"] for r in known if r["flags"] == "slave"}:
                    return False
                continue
            return False
        return True

    def replica(self, follows: Server) -> Server:
        """A replica elsewhere, of a server at home."""
        accounts = render.RedisAccounts(app=self.accounts.app, replica=self.accounts.replica)
        server = self._redis(f"elsewhere-{self.made}", accounts, follows.port)
        self.made += 1
        self.elsewhere.append(server)
        return server

    def _redis(self, name: str, accounts: render.RedisAccounts, follows: int | None) -> Server:
        home = self.directory / name
        home.mkdir()
        port = free_port()
        text = render.Redis(
            bind=(HERE,),
            announce=HERE,
            socket=home / "redis.sock",
            directory=home,
            password=accounts,
            max_memory_mib=512,
            replica_of=HERE if follows else None,
            replica_of_port=follows or 0,
            standby=accounts.sentinel is not None,
            append_sync=self.append_sync,
            port=port,
            sync_delay_s=0,
            backlog=512,
        ).render()
        return self._started(home / "redis.conf", text, port)

    def _sentinel(self, name: str) -> Server:
        home = self.directory / name
        home.mkdir()
        port = free_port()
        text = render.Sentinel(
            bind=(HERE,),
            announce=HERE,
            directory=home,
            accounts=self.accounts,
            master=HERE,
            master_port=self.servers[0].port,
            down_after_ms=self.down_after_ms,
            failover_timeout_ms=4000,
            port=port,
        ).render()
        return self._started(home / "sentinel.conf", text, port, "--sentinel")

    def _started(self, config: Path, text: str, port: int, *arguments: str) -> Server:
        config.write_text(text)
        server = Server(config, port, arguments)
        server.start()
        return server
