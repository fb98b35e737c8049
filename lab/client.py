"""A user at a terminal: `python -m lab.client` sends the lines that it reads and prints what comes back."""

from __future__ import annotations

import argparse
import asyncio
import ssl
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from lab.states import State

_SUBPROTOCOL: Final = "market.v1"
_HINT: Final = """\
Type a request and press Enter, for instance:
  {"type":"list_games","id":1}
  {"type":"join_game","id":2,"game":"match-1"}
  {"type":"list_pools","id":3,"game":"match-1"}
  {"type":"place_prediction","id":4,"game":"match-1","pool":"winner","option":0,"stake":100,"key":"a-key-of-your-own"}
Ctrl-D ends it.
"""


def argv(state: State, region: str, user: int) -> list[str]:
    """The command that is a user in a region of a running lab."""
    return ["ip", "netns", "exec", f"{state.name}.users-{region}", *argv_inside(state, user)]


def argv_inside(state: State, user: int) -> list[str]:
    """The command that is a user, for those who are in the region's namespace already."""
    return [
        *(sys.executable, "-m", "lab.client", "--url", state.url, "--ca-file", str(state.ca_file)),
        *("--tokens-file", str(state.tokens_file), "--user", str(user)),
    ]


async def converse(url: str, ca_file: Path, token: str) -> None:
    """Connects as the token's user, then sends standard input line by line until it ends."""
    trust = ssl.create_default_context(cafile=str(ca_file))
    begun = time.monotonic()
    async with connect(
        url,
        ssl=trust,
        subprotocols=[_SUBPROTOCOL],  # type: ignore[list-item]  # a NewType of str
        additional_headers={"Authorization": f"Bearer {token}"},
        compression=None,
        proxy=None,
    ) as connection:
        _print(f"connected to {connection.remote_address[0]} in {_ms_since(begun)}\n{_HINT}")
        sent_at: dict[Any, float] = {}
        receiver = asyncio.create_task(_receive(connection, sent_at))
        sender = asyncio.create_task(_send(connection, sent_at))
        await asyncio.wait((receiver, sender), return_when=asyncio.FIRST_COMPLETED)
        sender.cancel()
        await connection.close()
        await receiver


async def _send(connection: ClientConnection, sent_at: dict[Any, float]) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    async for line in reader:
        if text := line.decode(errors="replace").strip():
            sent_at[_request_id(text)] = time.monotonic()
            await connection.send(text)


async def _receive(connection: ClientConnection, sent_at: dict[Any, float]) -> None:
    async for message in connection:
        text = message if isinstance(message, str) else message.decode(errors="replace")
        sent = sent_at.pop(_request_id(text), None)
        _print(text if sent is None else f"{text}  ({_ms_since(sent)})")
    _print(f"closed: {connection.close_code} {connection.close_reason or ''}")


def _request_id(text: str) -> Any:
    try:
        message = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return message.get("id") if isinstance(message, dict) else None


def _ms_since(begun: float) -> str:
    return f"{(time.monotonic() - begun) * 1000:.1f} ms"


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m lab.client", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--ca-file", type=Path, required=True)
    parser.add_argument("--tokens-file", type=Path, required=True, help="lines of a user, a tab and a token")
    parser.add_argument("--user", type=int, default=0, help="which line of it")
    options = parser.parse_args()
    try:
        token = options.tokens_file.read_text(encoding="utf-8").splitlines()[options.user].split("\t")[1]
    except (OSError, IndexError) as error:
        sys.stderr.write(f"there is no user {options.user} in {options.tokens_file}: {error}\n")
        return 1
    try:
        asyncio.run(converse(options.url, options.ca_file, token))
    except (OSError, WebSocketException) as error:
        sys.stderr.write(f"cannot talk to {options.url}: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
