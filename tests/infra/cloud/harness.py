"""Runs a Pulumi program without an engine, against an AWS account on moto, and tells what it declared.

Whatever the program declares is made by calls to AWS; what AWS would refuse and moto takes is refused by
checks of the harness's own (`refusals`), and what no handler passes on to AWS is an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import LifoQueue
from threading import Thread
from typing import Any, Final

from pulumi.runtime import set_all_config, set_mocks
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.settings import SETTINGS, set_root_resource
from pulumi.runtime.stack import run_in_stack

from infra.errors import InfraError
from infra.offline import Warnings, is_stack
from tests.infra.cloud.account import Account
from tests.infra.cloud.configuration import PROJECT, handed_over
from tests.infra.cloud.declared import Declared, Resource
from tests.infra.cloud.errors import HarnessError
from tests.infra.cloud.mocks import Cloud

TIMEOUT_S: Final = 180.0
"""A program that takes longer waits for something that never comes."""


def declare(stack: str, text: str, account: Account, program: Callable[[], Any]) -> Declared:
    """Runs a program for a stack in an account.

    Args:
        stack: the stack's name.
        text: the text of its `Pulumi.<stack>.yaml`.
        account: where it declares its resources.
        program: what `pulumi up` would run.

    Raises:
        InfraError: when the program refuses what it is given.
        HarnessError: when AWS or the harness refuses what it declares, or it fails or does not end.
    """
    cloud = Cloud(account)
    monitor = _Monitor(cloud)
    log = Warnings()
    failed: list[BaseException] = []

    # A thread of its own: the SDK keeps all of its state in context variables and ties it to the event loop.
    def run() -> None:
        try:
            with _event_loop() as loop:
                set_mocks(cloud, PROJECT, stack, preview=False, logger=log.logger, monitor=monitor)
                set_root_resource(None)  # type: ignore[arg-type]
                # Otherwise the outputs of all programs are in one set, also those of one that failed.
                SETTINGS.outputs = set()
                set_all_config(*handed_over(text))
                loop.run_until_complete(run_in_stack(program))
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=run, name=f"moto-{stack}", daemon=True)
    thread.start()
    thread.join(TIMEOUT_S)
    if thread.is_alive():
        raise HarnessError(
            f"the program of {stack} has not ended after {TIMEOUT_S:g} s: what does it wait for?"
        )
    # What AWS refused comes first: other failures follow from it.
    for error in (*cloud.refused, *failed):
        if isinstance(error, (InfraError, HarnessError)):
            raise error
        raise HarnessError(f"the program of {stack} failed: {error}") from error
    return Declared(
        stack,
        account,
        tuple(r for r in monitor.made if not r.type.startswith(f"{PROJECT}:")),
        tuple(r for r in monitor.made if r.type.startswith(f"{PROJECT}:")),
        monitor.exports,
        frozenset(cloud.secrets.values),
        tuple(log.messages),
    )


@contextmanager
def _event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop for this thread, and one for the one thread that makes what is registered.

    The engine keeps no order but that of dependencies. Here the newest registration is always the next, so
    that what lacks a dependency is likely to come too early.
    """
    loop, making = asyncio.new_event_loop(), asyncio.new_event_loop()
    # What is refused fails every output that depends on it; it is told once.
    loop.set_exception_handler(lambda *_: None)
    try:
        asyncio.set_event_loop(loop)
        with ThreadPoolExecutor(1, initializer=asyncio.set_event_loop, initargs=(making,)) as executor:
            executor._work_queue = LifoQueue()  # type: ignore[assignment]
            loop.set_default_executor(executor)
            try:
                yield loop
            finally:
                left = asyncio.all_tasks(loop)
                for task in left:
                    task.cancel()
                loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    finally:
        asyncio.set_event_loop(None)
        loop.close()
        making.close()


class _Monitor(MockMonitor):
    """Records what is registered, with what the mocks are not told: parents, protection, secrets."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self.made: list[Resource] = []
        self.exports: Mapping[str, Any] = {}
        self._cloud = cloud
        self._keys: set[tuple[str, str]] = set()

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        if request.type == "pulumi:pulumi:Stack":
            return super().RegisterResource(request)  # type: ignore[no-untyped-call]
        key = (request.type, request.name)
        if key in self._keys:
            self._cloud.refused.append(HarnessError(f"{request.type} {request.name} is declared twice"))
            raise self._cloud.refused[-1]
        self._keys.add(key)
        inputs = self._cloud.secrets.redacted(request.object)
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        outputs = self._cloud.secrets.redacted(response.object)
        self.made.append(
            Resource(
                request.type,
                request.name,
                inputs.get("region", ""),
                "" if is_stack(request.parent) else request.parent.split("::")[-1],
                bool(request.protect),
                tuple(request.ignoreChanges),
                response.id,
                inputs,
                {key: value for key, value in outputs.items() if key not in inputs},
            )
        )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        if is_stack(request.urn):
            # The SDK makes a stack before that of the program, whose empty outputs may come later.
            self.exports = {**self.exports, **self._cloud.secrets.redacted(request.outputs)}
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]
