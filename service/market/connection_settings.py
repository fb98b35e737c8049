"""What a process of the API is told of its connections: limits, compression, draining."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

PerSecond = Annotated[float, Meta(ge=0, le=1_000_000)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]


class Limits(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What a client may do before it is refused; 0 is no limit.

    Each process counts for itself: a node with two processes lets through up to twice as much. As much as
    `burst_s` seconds allow may come at once. An address is an IPv4 address or an IPv6 /64 network.

    Limits by address are off: a mobile network, an office or a stadium has thousands of users behind one.
    In production, 10 times what the largest of them is expected to send keeps one attacker out without
    hurting it: `connections-per-address-per-s` 50 and `requests-per-address-per-s` 2000 are places to start
    from. nginx limits handshakes by address before they arrive here (`handshakes_per_s` of its template).

    Attributes:
        requests_per_user_per_s: of all of a user's connections; pings and fragments count as requests.
        requests_per_address_per_s: of all connections from an address.
        connections_per_user_per_s: new ones.
        connections_per_address_per_s: new ones.
        burst_s: how many seconds' worth may come at once.
        connections_per_user: open ones; one more closes the user's oldest, which on a mobile network is
            most likely dead, with code 4409.
        games_per_connection: subscriptions.
        handshake_timeout_s: from the first byte's arrival to the end of the upgrade request.
        idle_timeout_s: how long a connection that joined no game may say nothing.
        expiry_grace_s: how long a connection stays after its token expired, unless a new one is shown.
        keepalive_s: a connection on which nothing was sent for so long is pinged.
    """

    requests_per_user_per_s: PerSecond = 100.0
    requests_per_address_per_s: PerSecond = 0.0
    connections_per_user_per_s: PerSecond = 5.0
    connections_per_address_per_s: PerSecond = 0.0
    burst_s: Annotated[float, Meta(gt=0, le=3600)] = 10.0
    connections_per_user: Annotated[int, Meta(ge=0, le=1_000_000)] = 20
    games_per_connection: Annotated[int, Meta(ge=1, le=10_000)] = 16
    handshake_timeout_s: Annotated[float, Meta(gt=0, le=300)] = 10.0
    idle_timeout_s: Seconds = 600.0
    expiry_grace_s: Seconds = 30.0
    keepalive_s: Seconds = 240.0


class Compression(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """permessage-deflate (RFC 7692), for the clients that ask for it.

    No context is taken over in either direction, so that a connection holds no memory for it and one
    compressed broadcast serves all. What it costs is in `docs/decisions/0017-keepalive-and-compression.md`.

    Attributes:
        negotiable: whether it is granted.
        window_bits: of the window in both directions, as a power of 2 in bytes.
        min_bytes: smaller messages are sent as they are.
    """

    negotiable: bool = False
    window_bits: Annotated[int, Meta(ge=9, le=15)] = 11
    min_bytes: Annotated[int, Meta(ge=1, le=1 << 20)] = 128
