"""MariaDB: a master with its accounts, and read-only replicas that follow it by GTID from its beginning."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pymysql
from pymysql.cursors import DictCursor

from ami import render
from lab.credentials import SQL_ACCOUNTS
from lab.errors import MachineError
from lab.files import make_directory, socket_path, tail, write, write_secret
from lab.requirements import program
from lab.site import START_TIMEOUT_S, Process, Site
from lab.topology import Machine, Sql
from lab.waiting import NotReadyError, until

USER: Final = "mysql"

_BUFFER_POOL_MIB: Final = 64
_LOG_FILE_MIB: Final = 8
_PREPARE_TIMEOUT_S: Final = 120.0
_CONNECT_TIMEOUT_S: Final = 10.0


def prepare(site: Site) -> Path:
    """Makes the data directory of a server that was never used, from which each server gets a copy.

    It is made on a machine of the lab, so that whatever takes the lab down ends the making too.

    Raises:
        MachineError: when MariaDB's own program for it fails.
    """
    prepared = make_directory(site.directory / "mariadb-prepared", user=USER, mode=0o750)
    temporary = make_directory(prepared.with_suffix(".tmp"), user=USER)
    log = prepared.with_suffix(".log")
    argv = [
        program("mariadb-install-db"),
        "--no-defaults",
        f"--user={USER}",
        f"--datadir={prepared}",
        f"--tmpdir={temporary}",
        "--skip-test-db",
        "--auth-root-authentication-method=socket",
        f"--innodb-log-file-size={_LOG_FILE_MIB}M",
    ]
    with log.open("wb") as output:
        done = subprocess.run(
            site.world.argv(site.topology.sql_master.name, argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=_PREPARE_TIMEOUT_S,
            check=False,
            start_new_session=True,
        )
    if done.returncode != 0:
        raise MachineError(f"`mariadb-install-db` failed; the end of its output:\n{tail(log)}")
    return prepared


def start(site: Site, machine: Machine, spec: Sql, prepared: Path) -> Process:
    """Starts the machine's MariaDB on a copy of `prepared`, without waiting for it."""
    home = make_directory(site.disk(machine) / "mariadb", user=USER)
    data = home / "data"
    _copy(prepared, data)
    config = render.Mariadb(
        bind=("127.0.0.1", machine.address),
        socket=socket_path(_socket(site, machine)),
        directory=data,
        pid_file=home / "mariadb.pid",
        server_id=_server_id(machine),
        buffer_pool_mib=_BUFFER_POOL_MIB,
        log_file_mib=_LOG_FILE_MIB,
        log_bin=_is_source(site, machine),
        log_flush=spec.log_flush,
        replica=spec.replica_of is not None,
        init_file=write_secret(home / "init.sql", "\n".join(_init(site, spec)) + "\n", user=USER),
        temporary=make_directory(home / "tmp", user=USER),
        user=USER,
    )
    path = write(home / "mariadb.cnf", config.render())
    return site.start(machine, "mariadb", ["mariadbd", f"--defaults-file={path}"])


def wait_until_serving(site: Site, process: Process) -> None:
    """Returns when the server accepts connections; its accounts exist then.

    Raises:
        NotReadyError: when it does not in time.
    """

    def answers() -> bool:
        try:
            connect(site, process.machine).close()
        except pymysql.MySQLError as error:
            raise ConnectionError(str(error)) from error
        return True

    until(process.title, answers, timeout_s=START_TIMEOUT_S, process=process.popen, log=process.log)


def wait_until_replicating(site: Site, process: Process) -> None:
    """Returns when the replica has executed all that its master has logged until now.

    Raises:
        NotReadyError: when it has not in time, with the replica's own error.
    """
    with connect(site, site.topology.sql_master) as master, master.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.gtid_binlog_pos AS position")
        position = _row(cursor)["position"]
    with connect(site, process.machine) as replica, replica.cursor() as cursor:
        cursor.execute("SELECT MASTER_GTID_WAIT(%s, %s) AS late", (position, START_TIMEOUT_S))
        late = _row(cursor)["late"]
        cursor.execute("SHOW SLAVE STATUS")
        status = _row(cursor)
    running = status["Slave_IO_Running"] == status["Slave_SQL_Running"] == "Yes"
    if late or not running:
        reason = status["Last_IO_Error"] or status["Last_SQL_Error"] or f"it has not reached {position}"
        raise NotReadyError(f"the replication of {process.title} does not run: {reason}")


def connect(site: Site, machine: Machine) -> pymysql.Connection[DictCursor]:
    """A connection as root to the machine's MariaDB through its unix socket, from any namespace.

    The socket is made here because PyMySQL leaves its own open when it cannot connect.

    Raises:
        OSError: when the server does not listen.
        pymysql.MySQLError: when it refuses.
    """
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        channel.settimeout(_CONNECT_TIMEOUT_S)
        channel.connect(str(_socket(site, machine)))
        connection: pymysql.Connection[DictCursor] = pymysql.Connection(
            unix_socket=str(_socket(site, machine)),
            user="root",
            read_timeout=START_TIMEOUT_S + 10,
            autocommit=True,
            cursorclass=DictCursor,
            defer_connect=True,
        )
        connection.connect(channel)
    except BaseException:
        channel.close()
        raise
    return connection


def _init(site: Site, spec: Sql) -> Iterator[str]:
    """The SQL that a server runs before it accepts connections; none of it goes into the binary log."""
    yield "SET SESSION sql_log_bin = 0;"
    yield "CREATE DATABASE IF NOT EXISTS market;"
    for account, rights in SQL_ACCOUNTS.items():
        password = site.credentials.sql_password(account)
        yield f"CREATE OR REPLACE USER '{account}'@'%' IDENTIFIED BY '{password}';"
        yield f"GRANT {rights} TO '{account}'@'%';"
    if spec.replica_of:
        password = site.credentials.sql_password("market_replication")
        yield (
            f"CHANGE MASTER TO MASTER_HOST = '{site.address(spec.replica_of)}', MASTER_PORT = 3306, "
            f"MASTER_USER = 'market_replication', MASTER_PASSWORD = '{password}', "
            "MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1;"
        )
        yield "START SLAVE;"


def _is_source(site: Site, machine: Machine) -> bool:
    return machine == site.topology.sql_master or any(
        other.sql and other.sql.replica_of == machine.name for other in site.topology.machines.values()
    )


def _server_id(machine: Machine) -> int:
    region, number = machine.address.split(".")[2:]
    return int(region) * 256 + int(number)


def _socket(site: Site, machine: Machine) -> Path:
    return site.disk(machine) / "mariadb" / "mariadb.sock"


def _copy(prepared: Path, data: Path) -> None:
    subprocess.run(
        ["cp", "--archive", "--reflink=auto", str(prepared), str(data)],
        check=True,
        timeout=_PREPARE_TIMEOUT_S,
        start_new_session=True,
    )


def _row(cursor: DictCursor) -> dict[str, Any]:
    row = cursor.fetchone()
    if row is None:
        raise NotReadyError("MariaDB answered with no row; is the replica one?")
    return row
