"""A connection's requests, apart from the connection."""

from __future__ import annotations

import time
from typing import Any
from unittest.mock import MagicMock

import pytest

from market import sessions
from market.protocol import GetAccount, encode
from market.sessions import Session
from market.tokens import Identity


@pytest.fixture
def session() -> Session:
    """A session whose user is known, in a process in which nothing is refused."""
    api = MagicMock()
    api.audit.is_full = False
    api.limiter.request.return_value = 0
    api.admission.expired.return_value = False
    api.kinds = {GetAccount}
    api.settings.max_requests_in_flight = 1
    made = Session(MagicMock(), api)
    made.identity = Identity("user-1", int(time.time()) + 60)
    return made


def test_a_request_whose_handler_fails_is_answered_and_waited_for_no_longer(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sessions, "handle", fails)
    session.receive(encode(GetAccount(7)))
    assert session.idle
