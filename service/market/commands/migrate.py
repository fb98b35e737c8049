"""What runs once before a version's processes."""

from __future__ import annotations

from market import migrations
from market.commands import SettingsFile, loaded


def migrate(settings: SettingsFile) -> None:
    """Bring the SQL schema to this version."""
    migrations.migrate(loaded("migrate", settings).sql_master)
