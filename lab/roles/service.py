"""The service's own processes: those of a node and those at home, and the operator's commands."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from ami import render
from lab.errors import LabError
from lab.files import make_directory, socket_path, write
from lab.site import START_TIMEOUT_S, Process, Site
from lab.topology import Api, Machine, Topology
from lab.waiting import NotReadyError, until

MARKET: Final = (sys.executable, "-m", "market.cli")
"""How the service is started."""

_READER: Final = "market_reader"
"""The SQL account of what only reads; the lab's own commands have left its settings at home."""
SENTINEL_PORT: Final = 26379
REDIS_PORT: Final = 6379

_COMMAND_TIMEOUT_S: Final = 120.0
_PROBE_TIMEOUT_S: Final = 5.0


class CommandError(LabError):
    """A command of the service failed; the message has what it wrote."""


def api_socket(site: Site, machine: Machine, number: int) -> Path:
    """The unix socket of a node's API process."""
    return socket_path(site.disk(machine) / "api" / f"api-{number}.sock")


def feed_socket(site: Site, machine: Machine) -> Path:
    """The unix socket of the feed."""
    return socket_path(make_directory(site.disk(machine) / "operator") / "feed.sock")


def check_running(process: Process) -> None:
    """Returns when a process has not ended.

    Raises:
        NotReadyError: when it has.
    """
    if process.popen.poll() is not None:
        raise NotReadyError(f"{process.title} ended with status {process.popen.returncode}")


def start_apis(site: Site, machine: Machine, api: Api) -> list[Process]:
    """Starts the node's API processes without waiting for them."""
    home = make_directory(site.disk(machine) / "api")
    settings = write(
        home / "api.toml",
        _settings(
            site,
            machine,
            redis_master=api.redis_master,
            redis_read=api.redis_read,
            sql_master=(api.sql_master, "market_ledger"),
            sql_read=(api.sql_read, _READER),
        ),
    )
    return [
        site.start(
            machine,
            f"api-{number}",
            [*MARKET, "api", "--settings", settings, "--listen", api_socket(site, machine, number)],
        )
        for number in range(api.processes)
    ]


def start_follow(site: Site, machine: Machine) -> Process:
    """Starts what keeps the machine's replica hung to a standby, without waiting for it."""
    master = site.topology.redis_master.name
    sql_master = site.topology.sql_master.name
    text = _settings(
        site,
        machine,
        redis_master=master,
        redis_read=machine.name,
        sql_master=(sql_master, "market_reader"),
        sql_read=(sql_master, "market_reader"),
        reads_as=("follow", site.credentials.redis_account_file("replica")),
    )
    settings = write(make_directory(site.disk(machine) / "follow") / "follow.toml", text)
    return site.start(machine, "follow", [*MARKET, "follow", "--settings", settings])


def start_ledger(site: Site) -> Process:
    """Starts the ledger without waiting for it."""
    machine = site.topology.home_machine
    return site.start(
        machine, "ledger", [*MARKET, "ledger", "--settings", operator_settings(site, "market_ledger")]
    )


def start_resolver(site: Site) -> Process:
    """Starts the resolver without waiting for it."""
    return site.start(
        site.topology.home_machine,
        "resolver",
        [*MARKET, "resolver", "--settings", operator_settings(site, "market_reader")],
    )


def start_feed(site: Site) -> Process:
    """Starts the feed without waiting for it."""
    machine = site.topology.home_machine
    settings = operator_settings(site, "market_reader")
    where = feed_socket(site, machine)
    return site.start(machine, "feed", [*MARKET, "feed", "--settings", settings, "--listen", where])


def wait_until_serving(site: Site, process: Process) -> None:
    """Returns when an API process, or the feed, says that it can serve.

    Raises:
        NotReadyError: when it does not in time.
    """
    feed = process.name == "feed"
    number = 0 if feed else int(process.name.removeprefix("api-"))
    path = feed_socket(site, process.machine) if feed else api_socket(site, process.machine, number)

    def answers() -> bool:
        connection = http.client.HTTPConnection("localhost", timeout=_PROBE_TIMEOUT_S)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.sock.settimeout(_PROBE_TIMEOUT_S)
            connection.sock.connect(str(path))
            connection.request("GET", "/healthz")
            response = connection.getresponse()
            text = response.read().decode(errors="replace").strip()
        except http.client.HTTPException as error:
            raise ConnectionError(f"/healthz answered nonsense: {error!r}") from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise ConnectionError(f"/healthz answered {response.status}: {text}")
        return True

    until(process.title, answers, timeout_s=START_TIMEOUT_S, process=process.popen, log=process.log)


def stop(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    """Asks a process to end and waits for it; kills it after `timeout_s`."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def operator_settings(site: Site, account: str) -> Path:
    """The settings file for what works at home under one SQL account."""
    machine = site.topology.home_machine
    redis_master, sql_master = site.topology.redis_master.name, site.topology.sql_master.name
    return write(
        make_directory(site.disk(machine) / "operator") / f"{account}.toml",
        _settings(
            site,
            machine,
            redis_master=redis_master,
            redis_read=redis_master,
            sql_master=(sql_master, account),
            sql_read=(sql_master, _READER),
        ),
    )


def reader_argv(lab: str, topology: Topology, directory: Path, name: str, *arguments: str) -> list[str]:
    """The command that runs a command of the service that only reads, on the home machine of a running lab.

    Args:
        lab: the lab's name.
        topology: its machines.
        directory: where it keeps its state.
        name: the command.
        arguments: its own arguments.
    """
    home = topology.home_machine.name
    settings = directory / "machines" / home / "operator" / f"{_READER}.toml"
    return ["ip", "netns", "exec", f"{lab}.{home}", *MARKET, name, "--settings", str(settings), *arguments]


def command(site: Site, name: str, *arguments: str, account: str = _READER) -> str:
    """Runs a command of the service on the home machine under a SQL account, and returns its output.

    Raises:
        CommandError: when it fails or takes too long.
    """
    argv = [*MARKET, name, "--settings", str(operator_settings(site, account)), *arguments]
    try:
        done = subprocess.run(
            site.world.argv(site.topology.home_machine.name, argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT_S,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        raise CommandError(f"`market {name}` has not ended after {_COMMAND_TIMEOUT_S:g} s") from None
    if done.returncode != 0:
        raise CommandError(f"`market {name}` failed with status {done.returncode}:\n{done.stderr.strip()}")
    return done.stdout


def _settings(
    site: Site,
    machine: Machine,
    *,
    redis_master: str,
    redis_read: str,
    sql_master: tuple[str, str],
    sql_read: tuple[str, str],
    reads_as: tuple[str, Path] | None = None,
) -> str:
    addresses = [site.address(watched.name) for watched in site.topology.sentinels]

    def redis(name: str, *, writes: bool = False) -> render.RedisEndpoint:
        watched = bool(addresses) and (writes or site.topology.machines[name].role == "redis")
        return render.RedisEndpoint(
            host=_host(site, machine, name),
            password_file=(
                site.credentials.redis_account_file("app")
                if addresses
                else site.credentials.redis_password_file
            ),
            user="app" if addresses else "default",
            sentinels=[f"{address}:{SENTINEL_PORT}" for address in addresses] if watched else (),
        )

    def sql(name: str, account: str) -> render.SqlEndpoint:
        return render.SqlEndpoint(
            host=_host(site, machine, name),
            user=account,
            password_file=site.credentials.sql_password_file(account),
        )

    return render.Market(
        region=machine.region,
        node=machine.name,
        token_key_file=site.credentials.token_key_file,
        redis_master=redis(redis_master, writes=True),
        redis_read=(
            replace(redis(redis_read), user=reads_as[0], password_file=reads_as[1])
            if reads_as
            else redis(redis_read)
        ),
        sql_master=sql(*sql_master),
        sql_read=sql(*sql_read),
        data_path=site.data_path,
        deposits="self",
        standbys=[f"{address}:{REDIS_PORT}" for address in addresses],
    ).render()


def _host(site: Site, machine: Machine, name: str) -> str:
    return "127.0.0.1" if name == machine.name else site.address(name)
