"""What every connection that writes does first: see to it that the epoch is this server's own.

Redis replicates asynchronously and syncs its file once a second, so that a standby that was promoted, or a
server that started again, may lack the last writes of the one before. Places in the journal and offsets
would then be given out a second time. So each belongs to an epoch, and the epoch rises whenever the server's
replication id is another than the one that is kept beside it. The script reads the id itself: nothing can
come between the reading and the comparison.
"""

from __future__ import annotations

import logging
from typing import Any

from market import scripts

_log = logging.getLogger(__name__)

COMMAND = scripts.guard_epoch()
"""What is asked; a replica refuses it."""


def read(reply: Any) -> int:
    """The epoch, from the answer to `COMMAND`."""
    epoch, begun = reply
    if begun:
        _log.warning("the master started or was promoted: epoch %d begins", int(epoch))
    return int(epoch)
