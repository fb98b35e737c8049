"""Install AWS's Systems Manager agent, whatever the machine is for and whether it could boot."""

from __future__ import annotations

import threading

from ami.node.imds import Imds
from ami.node.session_agent import SessionAgent
from ami.node.system import Disk, run


def main(_: threading.Event) -> None:
    """See `ami.node.session_agent`."""
    SessionAgent(Disk(), run).ensure(Imds().region())
