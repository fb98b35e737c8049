"""What a machine does at every boot, until its services are on their way."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ami.node import (
    address,
    certificates,
    data_volume,
    machine,
    paths,
    redis_master,
    secret_store,
    sql_accounts,
    sql_authorities,
)
from ami.node.configure import configure, rds_hosts
from ami.node.document import Document, decode
from ami.node.imds import Imds
from ami.node.plan import Plan
from ami.node.system import Directory, Disk, File, Run, must

_log = logging.getLogger(__name__)

MAKE_DATABASE_S: Final = 120.0


@dataclass(frozen=True)
class Boot:
    """What a boot works with.

    Args:
        imds: who the machine is and what it is told.
        disk: where files are written.
        run: how programs are run.
        sleep: how to wait.
        fetch: how the authorities of AWS's SQL servers are fetched.
    """

    imds: Imds
    disk: Disk
    run: Run
    sleep: Callable[[float], None] = time.sleep
    fetch: Callable[[], str] = sql_authorities.fetch

    def boot(self) -> Plan:
        """Bring the machine to what it was told; nothing of its role is started before all else is right.

        Done again after a failure, it goes on where it stopped.

        Raises:
            AmiError: with what is missing or wrong.
        """
        told = self.imds.user_data()
        document = decode(told)
        here = machine.look(self.imds)
        _log.info("%s is a %s of %s in %s", here.instance_id, document.role, document.stack, here.region)
        self._remember(told)
        secrets = secret_store.read(document)
        if document.data_device is not None:
            data_volume.mount(document.data_device, self.disk, self.run, sleep=self.sleep)
        master = redis_master.find(document, secrets, self.disk)
        plan = configure(document, secrets, here, self._certificate(document, secrets), master)
        for note in plan.notes:
            _log.warning("%s", note)
        secret_store.keep(secrets, self.disk, self.run)
        self._prepare(document, plan)
        if document.address_pool is not None:
            taken = address.take(document.address_pool, here.region, here.instance_id, sleep=self.sleep)
            _log.info("this machine has the address %s", taken)
        # Not waited for: units that are ordered after this one start when it has ended.
        must(self.run, ["systemctl", "start", "--no-block", *plan.units])
        _log.info("starting %s", " ".join(plan.units))
        return plan

    def _remember(self, told: str) -> None:
        """Keep what the machine was told for its companions, until the next boot."""
        self.disk.make(Directory(paths.RUNTIME))
        self.disk.at(paths.DRAINING).unlink(missing_ok=True)
        self.disk.write(File(paths.DOCUMENT, told))

    def _certificate(
        self, document: Document, secrets: secret_store.SecretValues
    ) -> certificates.Pair | None:
        if not document.runs("nginx"):
            return None
        if secrets.certificate is None:
            return certificates.self_signed((document.names.play, document.names.regional))
        return certificates.parse(secrets.certificate)

    def _prepare(self, document: Document, plan: Plan) -> None:
        hosts = rds_hosts(document)
        if hosts:
            self._trust_sql(plan)
        for directory in plan.directories:
            self.disk.make(directory)
        for file in plan.files:
            self.disk.write(file)
        if document.runs("mariadb") and not self.disk.at(paths.MARIADB_DATA / "mysql").exists():
            self._make_database(paths.MARIADB_DATA)
        if plan.sql_accounts is not None:
            sql_accounts.make(plan.sql_accounts, self.disk.at(paths.SQL_AUTHORITIES) if hosts else None)

    def _trust_sql(self, plan: Plan) -> None:
        """Without AWS's authorities a node serves, as live traffic needs no SQL, but reads no history."""
        try:
            sql_authorities.ensure(self.disk, self.fetch)
        except sql_authorities.SqlAuthoritiesError as error:
            if plan.sql_accounts is not None:
                raise
            _log.error("history cannot be read: %s", error)

    def _make_database(self, data: Path) -> None:
        argv = [
            "mariadb-install-db",
            "--no-defaults",
            "--user=mysql",
            f"--datadir={data}",
            "--skip-test-db",
            "--auth-root-authentication-method=socket",
        ]
        must(self.run, argv, MAKE_DATABASE_S)
