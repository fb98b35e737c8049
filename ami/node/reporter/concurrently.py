"""Work done side by side in threads that nobody waits for longer than agreed, and that hold up no exit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

Task = Callable[[], None]


def start(task: Task, name: str) -> threading.Thread:
    """Do a task in a thread that ends with the process."""
    thread = threading.Thread(target=task, name=name, daemon=True)
    thread.start()
    return thread


def wait_for(threads: Sequence[threading.Thread], within_s: float) -> None:
    """Wait until all threads have ended or the time is over."""
    deadline = time.monotonic() + within_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
