"""The secrets of a lab: random, in files that only root can read."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.files import make_directory, write_secret

SQL_ACCOUNTS: Final = {
    "market_migrate": "ALL PRIVILEGES ON market.*",
    "market_ledger": "SELECT, INSERT ON market.*",
    "market_reader": "SELECT ON market.*",
    "market_replication": "REPLICATION SLAVE ON *.*",
}
"""The accounts of the SQL servers, and what each may do."""

REDIS_ACCOUNTS: Final = ("app", "replica", "sentinel")
"""The accounts of Redis servers with standbys (see `ami.render.RedisAccounts`)."""


@dataclass(frozen=True)
class Credentials:
    """Where the secrets are, one file each."""

    directory: Path

    @property
    def redis_password_file(self) -> Path:
        """The password of Redis's default user."""
        return self.directory / "redis.password"

    def redis_account_file(self, account: str) -> Path:
        """The password of one of `REDIS_ACCOUNTS`."""
        return self.directory / f"redis-{account}.password"

    def redis_account(self, account: str) -> str:
        """The password of one of `REDIS_ACCOUNTS`, itself."""
        return self.redis_account_file(account).read_text(encoding="ascii").strip()

    @property
    def token_key_file(self) -> Path:
        """The key that signs the users' tokens."""
        return self.directory / "token.key"

    def sql_password_file(self, account: str) -> Path:
        """The password of one of `SQL_ACCOUNTS`."""
        return self.directory / f"{account}.password"

    def redis_password(self) -> str:
        """The password of Redis's default user, itself."""
        return self.redis_password_file.read_text(encoding="ascii").strip()

    def sql_password(self, account: str) -> str:
        """The password of one of `SQL_ACCOUNTS`, itself."""
        return self.sql_password_file(account).read_text(encoding="ascii").strip()


def create(directory: Path) -> Credentials:
    """Makes new secrets in `directory`."""
    credentials = Credentials(make_directory(directory, mode=0o700))
    for path in (
        credentials.redis_password_file,
        credentials.token_key_file,
        *map(credentials.sql_password_file, SQL_ACCOUNTS),
        *map(credentials.redis_account_file, REDIS_ACCOUNTS),
    ):
        write_secret(path, secrets.token_hex(32) + "\n")
    return credentials
