"""A user's money."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from market.calls import accounts
from market.handlers.kinds import Handler, lacking, replying
from market.protocol import Account, Deposit, Deposited, GetAccount, Reply, Request
from market.store import Done, Receipt
from market.tokens import ADMIN, BANK, Identity

if TYPE_CHECKING:
    from market.server import Api


def get_account(api: Api, identity: Identity, request: GetAccount, done: Done[Reply]) -> None:
    """The balance, as the master has it."""

    def read(balance: int) -> Account:
        return Account(request.id, identity.user, balance)

    api.store.master(accounts.balance(identity.user), replying(done, read))


def deposit(api: Api, identity: Identity, request: Deposit, done: Done[Reply]) -> None:
    """Add money to the account, which is made when there is none.

    Whoever may do that makes money: it is the bank, unless the money is nobody's.
    """
    if api.settings.deposits == "bank" and (refusal := lacking(identity, BANK, ADMIN)):
        done(refusal)
        return

    def deposited(receipt: Receipt) -> Deposited:
        return Deposited(
            request.id,
            request.key,
            receipt.epoch,
            receipt.journal_id,
            receipt.balance,
            receipt.duplicate,
        )

    api.store.master(accounts.deposit(identity.user, request), replying(done, deposited))


HANDLERS: Final[dict[type[Request], Handler]] = {GetAccount: get_account, Deposit: deposit}
