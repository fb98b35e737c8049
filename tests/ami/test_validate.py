"""Whether a tree may become an image: the real script, on trees that are small but complete."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "ami" / "validate.sh"
MISSING = re.compile(r"missing: /(\S+) \(")
ACCOUNTS = ("root", "market", "redis", "mysql", "www-data", "prometheus")
WHEELS = [
    "isochrone_market",
    "isochrone_ami",
    "uvloop",
    "hiredis",
    "msgspec",
    "websockets",
    "boto3",
    "cryptography",
]
DRIVERS = ["xen-blkfront", "xen-netfront", "ixgbevf", "ena", "nvme", "virtio_blk", "virtio_net", "ext4"]
PACKAGES = "opt/isochrone/venv/lib/python3.11/site-packages"
BY_HASH, BY_TIME = (b"\xa7\r\r\n" + bytes([flag]) + bytes(11) for flag in (1, 0))


def mistakes(root: Path) -> list[str]:
    """What is wrong with a tree; the script's status is 1 when anything is, and 0 otherwise."""
    done = subprocess.run(["bash", SCRIPT, root], capture_output=True, text=True, check=False, timeout=60)
    found = done.stdout.splitlines()
    assert done.returncode == (1 if found else 0), done.stderr
    if found:
        assert found.pop() == f"the image has {len(found)} mistakes"
    return found


def put(root: Path, path: str, content: str | bytes = b"") -> None:
    """A file of a tree, with the directories that it is in."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree in which nothing is missing: all that the script names in an empty one."""
    root = tmp_path_factory.mktemp("whole")
    for line in mistakes(root):
        if named := MISSING.match(line):
            put(root, named[1])
    put(root, "etc/machine-id")
    put(root, "etc/passwd", "".join(f"{name}:x:1:1::/:/bin/false\n" for name in ACCOUNTS))
    put(root, "etc/shadow", "".join(f"{name}:*:1::::::\n" for name in ACCOUNTS))
    for wheel in WHEELS:
        (root / PACKAGES / f"{wheel}-1.0.dist-info").mkdir(parents=True)
    (root / "vmlinuz").unlink()
    (root / "vmlinuz").symlink_to("boot/vmlinuz-6.1")
    put(root, "lib/modules/6.1/modules.builtin", "".join(f"kernel/{name}.ko\n" for name in DRIVERS))
    put(root, f"{PACKAGES}/__pycache__/a.pyc", BY_HASH)
    return root


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "root", symlinks=True))


def test_a_tree_in_which_nothing_is_missing_and_nothing_is_left_over_passes(whole: Path) -> None:
    assert mistakes(whole) == []


def test_everything_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    found = mistakes(tmp_path)
    assert len(found) > 60
    for name in (
        "/etc/shadow",
        "/usr/sbin/nginx",
        "the account redis",
        "the wheel of uvloop",
        "the driver ixgbevf",
        "the driver ena",
    ):
        assert any(name in line for line in found), name


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("etc/ssh/ssh_host_ed25519_key", ""),
        ("root/.ssh/authorized_keys", ""),
        ("var/lib/cloud/instance", ""),
        ("var/log/dpkg.log", ""),
        ("var/cache/apt/pkgcache.bin", ""),
        ("var/lib/apt/lists/a", ""),
        ("var/lib/dbus/machine-id", ""),
        ("root/.bash_history", ""),
        ("root/.aws/credentials", ""),
        ("etc/isochrone/secrets/token-key", ""),
        ("usr/sbin/sshd", ""),
        ("opt/note", "AKIA" + "A" * 16),
        ("etc/note", "i-0123456789abcdef0"),
        ("opt/key.pem", "-----BEGIN EC PRIVATE " + "KEY-----\n" + "A" * 64),
    ],
)
def test_what_is_left_over_is_named(root: Path, path: str, content: str) -> None:
    put(root, path, content)
    (found,) = mistakes(root)
    assert found.startswith(f"left over: /{'/'.join(path.split('/')[:2])}")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda root: put(root, "etc/machine-id", "0123"), "/etc/machine-id: must be there and empty"),
        (lambda root: put(root, "etc/shadow", "root:$y$j9T$:1::::::\n"), "root could log in by a password"),
        (lambda root: put(root, f"{PACKAGES}/a.pyc", BY_TIME), "is compiled for its source's time"),
        (lambda root: put(root, "usr/share/isochrone/ssm-agent.asc", "-"), "is no public key"),
        (lambda root: (root / "usr/sbin/nginx").unlink(), "missing: /usr/sbin/nginx"),
        (
            lambda root: (root / "lib/modules/6.1/modules.builtin").write_text("ena.ko\n"),
            "missing: the driver",
        ),
    ],
)
def test_what_is_wrong_is_named(root: Path, change: Callable[[Path], object], told: str) -> None:
    change(root)
    found = mistakes(root)
    assert found
    assert all(told in line for line in found)
