"""The recorded packages, and where they come from."""

from __future__ import annotations

import pytest

from ami.build import packages as debian
from ami.build.packages import Package, Source
from ami.build.shell import BuildError

STANZAS = """\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""
OTHERS = (
    "deb https://packages.example/apt bookworm-tools main\ndeb [arch=amd64] https://x.example stable main\n"
)


def test_sources_of_others_are_left_out() -> None:
    found = debian.debian_sources({"a/debian.sources": STANZAS, "a/other.list": OTHERS})
    assert found == (
        Source("http://mirror.example/debian", "bookworm"),
        Source("http://mirror.example/debian", "bookworm-updates"),
        Source("http://mirror.example/debian-security", "bookworm-security"),
    )


def test_the_old_format_is_read_too() -> None:
    text = (
        "deb [signed-by=/k] http://mirror.example/debian bookworm main # us\ndeb-src http://x bookworm main\n"
    )
    assert debian.debian_sources({"sources.list": text}) == (
        Source("http://mirror.example/debian", "bookworm"),
    )


def test_a_machine_without_debian_is_told_so() -> None:
    with pytest.raises(BuildError, match="has no source of Debian's bookworm"):
        debian.debian_sources({"other.list": OTHERS})


def test_the_recorded_list_is_read_as_it_was_written() -> None:
    packages = (Package("zlib1g", "1:1.2.13.dfsg-1"), Package("apt", "2.6.1"))
    assert debian.read_lock(debian.write_lock(packages)) == tuple(sorted(packages))


def test_a_line_without_a_version_is_refused() -> None:
    with pytest.raises(BuildError, match="'apt'; each is name=version"):
        debian.read_lock("apt\n")


def test_comments_are_not_packages() -> None:
    assert debian.read_roots("# all\nnginx-light   # the web server\n\nchrony\n") == ("nginx-light", "chrony")


def test_what_the_mirror_no_longer_has_is_found() -> None:
    old, kept = Package("nginx", "1.22.1-9"), Package("apt", "2.6.1")
    assert debian.moved([old, kept], [kept, Package("nginx", "1.22.1-10")]) == (old,)


def test_every_package_that_is_asked_for_is_recorded() -> None:
    recorded = {package.name for package in debian.read_lock(debian.LOCK.read_text())}
    assert set(debian.read_roots(debian.ROOTS.read_text())) <= recorded
