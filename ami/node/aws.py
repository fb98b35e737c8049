"""How the machine calls AWS: clients that give up in time, and errors as one line.

AWS's library is loaded with the first client, not before: some of what runs on a machine says one word to AWS
in its whole life, or none.
"""

from __future__ import annotations

from typing import Any, Final

from botocore import UNSIGNED
from botocore.exceptions import BotoCoreError, ClientError

from ami.errors import AmiError

CONNECT_S: Final = 5
REPLY_S: Final = 10
ATTEMPTS: Final = 4
"""Of one call, with growing pauses in between; what must not give up so soon tries again itself."""

REFUSALS: Final = (ClientError, BotoCoreError)
"""What a call raises."""


class AwsError(AmiError):
    """AWS refuses a call or cannot be reached; it may do later."""


def client(service: str, region: str, *, signed: bool = True) -> Any:
    """A client of a service in a region; one that is not `signed` reads what anybody may read.

    Raises:
        AwsError: when there is no such service or region.
    """
    import boto3  # noqa: PLC0415 - see the module
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        connect_timeout=CONNECT_S,
        read_timeout=REPLY_S,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        signature_version=None if signed else UNSIGNED,
    )
    try:
        return boto3.client(service, region_name=region, config=config)
    except BotoCoreError as error:
        raise AwsError(f"{service} in {region} cannot be asked: {error}") from error


def code(error: ClientError | BotoCoreError) -> str:
    """The code of an error of AWS; the empty text when AWS was not reached."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""


def reason(error: ClientError | BotoCoreError) -> str:
    """What an error says, without the operation's name around it."""
    if isinstance(error, ClientError):
        return f"{code(error)}: {error.response['Error'].get('Message', '').rstrip('.')}"
    return str(error)
