"""What a call of AWS by boto3 may raise."""

from __future__ import annotations

from typing import Final

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

AWS_ERRORS: Final = (BotoCoreError, ClientError, ResponseParserError)
"""A refusal, no answer, and an answer that is none of AWS's, as a proxy gives."""
