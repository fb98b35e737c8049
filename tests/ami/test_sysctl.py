"""Every kernel setting of the thesis is in the image, or is noted there with the reason why not."""

from __future__ import annotations

from pathlib import Path

import pytest

FILE = Path(__file__).parents[2] / "ami" / "rootfs" / "etc" / "sysctl.d" / "60-isochrone.conf"

SETTINGS = {
    "net.core.netdev_max_backlog": "65536",
    "net.ipv4.tcp_max_syn_backlog": "65536",
    "net.core.somaxconn": "16384",
    "net.ipv4.tcp_slow_start_after_idle": "0",
    "net.ipv4.tcp_mem": "383865 511820 2303190",
    "net.ipv4.tcp_rmem": "8192 873700 8388608",
    "net.ipv4.tcp_wmem": "4096 655360 8388608",
    "net.ipv4.tcp_fin_timeout": "5",
    "net.ipv4.tcp_max_orphans": "262144",
    "net.ipv4.tcp_synack_retries": "2",
    "net.ipv4.tcp_syn_retries": "2",
    "net.ipv4.tcp_tw_reuse": "1",
    "net.ipv4.ip_local_port_range": "1025 65535",
    "vm.overcommit_memory": "1",
}


def lines() -> list[str]:
    return FILE.read_text().splitlines()


def applied() -> dict[str, str]:
    pairs = (line.split("=", 1) for line in lines() if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_has_the_value_of_the_thesis(name: str) -> None:
    assert applied()[name] == SETTINGS[name]


def test_what_would_lower_the_system_is_noted_and_not_applied() -> None:
    assert "fs.file-max" not in applied()
    assert any(line.startswith("# fs.file-max = 1655360") for line in lines())


def test_each_setting_has_its_reason_beside_it() -> None:
    block: list[str] = []
    for line in lines():
        if not line:
            block = []
            continue
        block.append(line)
        if not line.startswith("#"):
            assert block[0].startswith("# "), f"{line} has no reason"


def test_the_servers_own_ports_are_not_given_to_outgoing_connections() -> None:
    reserved = applied()["net.ipv4.ip_local_reserved_ports"].split(",")
    assert {"3306", "6379", "9100"} <= set(reserved)
