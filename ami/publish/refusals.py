"""What AWS refuses, as a message that says what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from botocore import exceptions as aws
from botocore.exceptions import BotoCoreError, ClientError, WaiterError
from botocore.parsers import ResponseParserError

from ami.publish.errors import PublishError

AWS_ERRORS: Final = (ClientError, BotoCoreError, ResponseParserError)
"""What botocore raises when AWS refuses, cannot be reached or answers with something else than AWS does."""

PERMISSIONS: Final = (
    "ebs:StartSnapshot",
    "ebs:PutSnapshotBlock",
    "ebs:CompleteSnapshot",
    "ec2:CreateTags",
    "ec2:DescribeSnapshots",
)
"""What publishing takes, beside the use of the account's default key for EBS."""

_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})

_UNKNOWN: Final = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)


_UNANSWERED: Final[Sequence[tuple[tuple[type[BotoCoreError], ...], str]]] = (
    (
        (aws.NoCredentialsError, aws.PartialCredentialsError),
        "there are no AWS credentials; log in (`aws sso login` or `aws configure`), or set AWS_PROFILE",
    ),
    ((aws.ProfileNotFound,), "{}; set AWS_PROFILE to one of `aws configure list-profiles`"),
    ((aws.InvalidRegionError,), "{}; name a region such as eu-west-1 with --region"),
    (
        (aws.SSOError, aws.TokenRetrievalError, aws.CredentialRetrievalError),
        "AWS credentials cannot be had ({}); log in anew, or set AWS_PROFILE",
    ),
    (
        (aws.ConnectionError, aws.HTTPClientError),
        "AWS cannot be reached ({}); see that the region exists and the network works",
    ),
)
"""What botocore raises before AWS has answered, and what to do about it."""


def code_of(error: ClientError) -> str:
    """The code by which AWS names an error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def refused(what: str, error: Exception) -> PublishError:
    """The error to report for one of AWS.

    Args:
        what: what could not be done.
        error: what botocore raised.
    """
    return PublishError(f"{what}: {_why(error)}")


def _why(error: Exception) -> str:
    if isinstance(error, ClientError):
        return _answered(error.response)
    if isinstance(error, WaiterError) and "Error" in error.last_response:
        return _answered(error.last_response)
    for kinds, why in _UNANSWERED:
        if isinstance(error, kinds):
            return why.format(error)
    if isinstance(error, ResponseParserError):
        return "what answers is not AWS; see whether a proxy is in between"
    return str(error)


def _answered(response: Mapping[str, Any]) -> str:
    code = str(response["Error"].get("Code", ""))
    told = str(response["Error"].get("Message", "")).rstrip(".") or code
    if code in _DENIED:
        return (
            f"AWS does not permit it ({told}); publishing needs {', '.join(PERMISSIONS)},"
            " and the use of the account's default key for EBS"
        )
    if code in _UNKNOWN:
        return f"AWS does not accept the credentials ({told}); log in anew, or set AWS_PROFILE"
    return f"{told} ({code})"
