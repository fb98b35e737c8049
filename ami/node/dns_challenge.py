"""The TXT record by which an authority sees that the names are ours, in the stack's own zone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from botocore.exceptions import WaiterError

from ami.errors import AmiError
from ami.node import aws

TTL_S: Final = 60
POLL_S: Final = 5
PATIENCE_S: Final = 300


class ChallengeError(AmiError):
    """The record of the challenge could not be written."""


@contextmanager
def answered(
    zone_id: str, name: str, values: Sequence[str], region: str, poll_s: float = POLL_S
) -> Iterator[None]:
    """While this lasts, the name answers with the values, on all of Route53's servers; then the record goes.

    Raises:
        ChallengeError: when Route53 refuses, or is not done in time.
    """
    route53 = aws.client("route53", region)
    try:
        change = _change(route53, "UPSERT", zone_id, name, values)
        route53.get_waiter("resource_record_sets_changed").wait(
            Id=change, WaiterConfig={"Delay": poll_s, "MaxAttempts": round(PATIENCE_S / max(poll_s, 1))}
        )
    except WaiterError as error:
        raise ChallengeError(f"{name} is not on all name servers after {PATIENCE_S} s") from error
    except aws.REFUSALS as error:
        raise ChallengeError(f"{name} could not be written: {aws.reason(error)}") from error
    try:
        yield
    finally:
        with suppress(*aws.REFUSALS):
            _change(route53, "DELETE", zone_id, name, values)


def _change(route53: Any, action: str, zone_id: str, name: str, values: Sequence[str]) -> str:
    changed = route53.change_resource_record_sets(
        HostedZoneId=zone_id,
        ChangeBatch={
            "Changes": [
                {
                    "Action": action,
                    "ResourceRecordSet": {
                        "Name": name,
                        "Type": "TXT",
                        "TTL": TTL_S,
                        "ResourceRecords": [{"Value": f'"{value}"'} for value in dict.fromkeys(values)],
                    },
                }
            ]
        },
    )
    return str(changed["ChangeInfo"]["Id"])
