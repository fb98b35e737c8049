"""Does a thing for many items, several at a time, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Event, Lock


def each(
    items: Iterable[int],
    do: Callable[[int], None],
    *,
    parallel: int,
    on_done: Callable[[int], None],
    stop: Event,
) -> None:
    """Does a thing for every item.

    The first failure, or an interruption, ends it: what is under way is finished, nothing else is begun.

    Args:
        items: for what.
        do: the thing; raises to end all.
        parallel: how many at a time.
        on_done: told each item that was done, one at a time.
        stop: set when it ends early, so that whoever pauses can end too.
    """
    left, taking, telling = iter(items), Lock(), Lock()

    def work() -> None:
        while not stop.is_set():
            with taking:
                item = next(left, None)
            if item is None:
                return
            do(item)
            with telling:
                on_done(item)

    with ThreadPoolExecutor(parallel, "publish") as pool:
        try:
            for worker in as_completed([pool.submit(work) for _ in range(parallel)]):
                worker.result()
        except BaseException:
            stop.set()
            raise
