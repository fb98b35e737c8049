"""The market's books after a drain, read by the service's own commands."""

from __future__ import annotations

from typing import Any

import msgspec

from lab.errors import LabError
from lab.faults.verifier import Books, Pool, Row
from lab.lab import Lab
from lab.roles import service


def read(lab: Lab) -> Books:
    """Has all that was acknowledged written to SQL, and reads the books.

    Raises:
        LabError: when the journal cannot be drained or a book cannot be read.
    """
    service.command(lab.site, "ledger", "--drain", account="market_ledger")
    return parse(service.command(lab.site, "inventory", account="market_reader"))


def parse(text: str) -> Books:
    """The books as `market inventory` prints them.

    Raises:
        LabError: when a line is not of a known book.
    """
    books = Books(rows=(rows := []), journal=(journal := []), receipts={}, debited={}, pools={})
    receipts: Any = books.receipts
    debited: Any = books.debited
    pools: Any = books.pools
    for line in text.splitlines():
        match msgspec.json.decode(line):
            case ["account", user, opening, balance]:
                debited[user] = opening - balance
            case ["pool", pool, totals, predictions]:
                pools[pool] = Pool(totals, predictions)
            case ["receipt", user, key, epoch, journal_id]:
                receipts[user, key] = (epoch, journal_id)
            case ["journal", *fields]:
                journal.append(msgspec.convert(fields, Row))
            case ["sql", *fields]:
                rows.append(msgspec.convert(fields, Row))
            case _:
                raise LabError(f"`market inventory` says what is not understood: {line[:200]}")
    return books
