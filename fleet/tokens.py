"""The tokens of a run's users, signed with the stack's own key."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from fleet.errors import FleetError
from fleet.machines import Client
from infra.aws_errors import AWS_ERRORS
from infra.secret_names import secret_name
from infra.site import Site
from market.settings import MarketError
from market.tokens import Signer, load_signer


def signer(client: Client, site: Site) -> Signer:
    """What signs as the stack's nodes expect it; the key is in no file for longer than it takes to read it.

    Raises:
        FleetError: when the key cannot be had.
    """
    name = secret_name(site, "token-key")
    try:
        key = client("secretsmanager", site.home).get_secret_value(SecretId=name)["SecretString"]
    except AWS_ERRORS as error:
        raise FleetError(f"the key of the users' tokens, {name}, cannot be read: {error}") from error
    with TemporaryDirectory(prefix="isochrone-") as directory:
        path = Path(directory) / "token-key"
        path.touch(mode=0o600)
        path.write_text(key, encoding="utf-8")
        try:
            return load_signer(str(path))
        except MarketError as error:
            raise FleetError(f"{name} is no key of tokens; make the stack's secrets anew") from error


def table(signer: Signer, users: int, ttl_s: int) -> bytes:
    """A line `user-i<TAB>token` for each user, as load workers read it."""
    names = (f"user-{number}" for number in range(users))
    return "".join(f"{name}\t{signer.issue(name, ttl_s)}\n" for name in names).encode()
