"""The data volume is found under whatever name it has, formatted once, and never when it holds something."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ami.node import data_volume
from ami.node.data_volume import EBS_MODEL, LABEL, Device, VolumeError, choose
from ami.node.system import Done, run
from tests.ami.node_fakes import disk

WANTED = "/dev/xvdf"


def a_disk(path: str, model: str | None = EBS_MODEL, **more: Any) -> Device:
    return Device(path, "disk", model, **more)


ROOT = a_disk("/dev/nvme0n1", children=[Device("/dev/nvme0n1p1", "part", mountpoints=["/"])])
DATA = a_disk("/dev/nvme1n1", mountpoints=[None])
INSTANCE_STORE = a_disk("/dev/nvme2n1", "Amazon EC2 NVMe Instance Storage")


@pytest.mark.parametrize(
    ("devices", "found"),
    [
        ([a_disk("/dev/xvda", None), a_disk("/dev/xvdf", None), a_disk("/dev/xvdb", None)], "/dev/xvdf"),
        ([ROOT, DATA, INSTANCE_STORE], "/dev/nvme1n1"),
        ([ROOT, INSTANCE_STORE], None),
        ([], None),
        ([ROOT, Device("/dev/xvdf", "rom")], None),
    ],
    ids=["its own name", "NVMe", "not attached yet", "nothing", "no disk"],
)
def test_it_is_found_under_whatever_name_it_has(devices: list[Device], found: str | None) -> None:
    assert choose(WANTED, devices) == found


def test_of_two_that_could_be_it_none_is_guessed() -> None:
    with pytest.raises(VolumeError, match="/dev/nvme1n1, /dev/nvme3n1 could each be the data volume"):
        choose(WANTED, [ROOT, DATA, a_disk("/dev/nvme3n1")])


class Attached:
    """A machine with a file in the place of its volume: `blkid` and `mkfs` are real, mounts are not."""

    def __init__(self, volume: Path, after: int = 0) -> None:
        self.volume, self.after = volume, after
        self.calls: list[list[str]] = []

    def __call__(self, argv: Sequence[str], timeout_s: float = 60) -> Done:
        self.calls.append(list(argv))
        match argv[0]:
            case "mountpoint":
                return Done(32, "")
            case "lsblk":
                self.after -= 1
                there = [] if self.after >= 0 else [{"path": str(self.volume), "type": "disk"}]
                return Done(0, json.dumps({"blockdevices": there}))
            case "systemd-mount":
                return Done(0, "")
        return run(argv, timeout_s)

    def ran(self, name: str) -> list[list[str]]:
        return [call for call in self.calls if call[0] == name]


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    path = tmp_path / "volume"
    with path.open("wb") as file:
        file.truncate(16 << 20)
    return path


def mount(machine: Attached, root: Path) -> None:
    data_volume.mount(str(machine.volume), disk(root)[0], machine, sleep=lambda _: None)


def label(path: Path) -> str:
    argv = ["blkid", "--probe", "--match-tag", "LABEL", "--output", "value", str(path)]
    return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20).stdout.strip()


def test_an_empty_volume_is_formatted_and_later_only_mounted(volume: Path, tmp_path: Path) -> None:
    first, second = Attached(volume), Attached(volume)
    mount(first, tmp_path)
    assert label(volume) == LABEL
    content = volume.read_bytes()
    mount(second, tmp_path)
    assert volume.read_bytes() == content
    for machine, formats in ((first, 1), (second, 0)):
        assert len(machine.ran("mkfs.ext4")) == formats
        assert machine.ran("systemd-mount") == [
            ["systemd-mount", "--options=noatime", str(volume), "/var/lib/isochrone/redis"]
        ]


@pytest.mark.parametrize("options", [["-L", "somebody-else"], []], ids=["another label", "no label"])
def test_what_is_not_ours_is_left_alone(volume: Path, tmp_path: Path, options: list[str]) -> None:
    subprocess.run(["mkfs.ext4", "-q", *options, str(volume)], check=True, timeout=20)
    before = volume.read_bytes()
    machine = Attached(volume)
    with pytest.raises(VolumeError, match="is left alone"):
        mount(machine, tmp_path)
    assert volume.read_bytes() == before
    assert machine.ran("systemd-mount") == []


def test_a_volume_that_comes_later_is_waited_for(volume: Path, tmp_path: Path) -> None:
    machine = Attached(volume, after=3)
    mount(machine, tmp_path)
    assert len(machine.ran("lsblk")) == 4


def test_one_that_never_comes_is_named(volume: Path, tmp_path: Path) -> None:
    with pytest.raises(VolumeError, match="is not attached after 0 s"):
        data_volume.mount(
            str(volume), disk(tmp_path)[0], Attached(volume, after=99), patience_s=0, sleep=lambda _: None
        )


def test_one_that_is_mounted_is_left_as_it_is(tmp_path: Path) -> None:
    calls: list[str] = []

    def mounted(argv: Sequence[str], timeout_s: float = 60) -> Done:
        calls.append(argv[0])
        return Done(0, "")

    data_volume.mount(WANTED, disk(tmp_path)[0], mounted)
    assert calls == ["mountpoint"]
