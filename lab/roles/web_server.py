"""nginx: ends TLS on a node and balances its connections over the API processes."""

from __future__ import annotations

import math
import os
import resource
import socket
import ssl
from typing import Final

from ami import render
from lab import namespaces
from lab.files import make_directory, write
from lab.roles.service import api_socket
from lab.site import START_TIMEOUT_S, Process, Site
from lab.topology import Api, Machine
from lab.waiting import until

HTTPS_PORT: Final = 443

_DESCRIPTORS_PER_USER: Final = 2
_UNEVENNESS: Final = 1.5
"""How much more than its share a worker may get: the kernel spreads connections by a hash."""
_SPARE_DESCRIPTORS: Final = 256
_PROBE_TIMEOUT_S: Final = 5.0


def start(site: Site, machine: Machine, api: Api) -> Process:
    """Starts the node's nginx without waiting for it."""
    home = make_directory(site.disk(machine) / "nginx")
    log = site.log(machine, "nginx")
    workers, connections = _size(site, machine)
    config = render.Nginx(
        server_names=server_names(site, machine),
        address=machine.address,
        upstreams=[api_socket(site, machine, number) for number in range(api.processes)],
        certificate=site.certificates.certificate,
        certificate_key=site.certificates.certificate_key,
        directory=home,
        error_log=log,
        worker_processes=workers,
        worker_connections=connections,
        session_cache_mib=1,
    )
    path = write(home / "nginx.conf", config.render())
    return site.start(machine, "nginx", ["nginx", "-e", log, "-p", home, "-c", path])


def wait_until_serving(site: Site, process: Process) -> None:
    """Returns when the node answers over TLS, under its own name, that it can serve.

    Raises:
        NotReadyError: when it does not in time.
    """
    context = ssl.create_default_context(cafile=str(site.certificates.ca_file))
    name = server_names(site, process.machine)[-1]
    namespace = site.world.namespace(process.machine.name)

    def answers() -> bool:
        with namespaces.entered(namespace):
            raw = socket.create_connection((process.machine.address, HTTPS_PORT), _PROBE_TIMEOUT_S)
        with raw, context.wrap_socket(raw, server_hostname=name) as connection:
            connection.sendall(f"GET /healthz HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            status = connection.makefile("rb").readline()
        if b" 200 " not in status:
            raise ConnectionError(f"/healthz answered {status.decode(errors='replace').strip()}")
        return True

    until(process.title, answers, timeout_s=START_TIMEOUT_S, process=process.popen, log=process.log)


def server_names(site: Site, machine: Machine) -> tuple[str, str]:
    """The names that a node answers to: the one for everyone, and its region's."""
    play = site.topology.play_name
    return play, f"{machine.region}.{play}"


def _size(site: Site, machine: Machine) -> tuple[int, int]:
    """The worker processes and the connections of each, for the users that are sent to this node.

    nginx cannot raise its descriptors beyond the limit of the machine, so more users need more workers.
    """
    cores = min(machine.capacity.cores if machine.capacity else 1, os.cpu_count() or 1)
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    usable = (descriptors if descriptors != resource.RLIM_INFINITY else 1 << 20) - _SPARE_DESCRIPTORS
    regions = site.topology.resolves_to
    here = sum(1 for node in regions.values() if node == machine.region) / len(regions)
    needed = site.users * here * _DESCRIPTORS_PER_USER * _UNEVENNESS + _SPARE_DESCRIPTORS
    workers = max(cores, math.ceil(needed / usable))
    return workers, min(usable, math.ceil(needed))


def certificate_names(domain: str) -> tuple[str, str]:
    """The names that the nodes' certificate is for."""
    return f"play.{domain}", f"*.play.{domain}"
