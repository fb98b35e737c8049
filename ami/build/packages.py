"""Which of Debian's packages are in the image: the recorded list, and the repository made of just those.

`packages.txt` names what the image needs; `packages.lock` records every package that this means, with its
version. A build installs the recorded ones from a repository on disk that has nothing else, so that two
builds cannot differ. When the mirror no longer has one of them, the build stops and says so.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from ami.build.shell import BuildError, run

RELEASE: Final = "bookworm"
HERE: Final = Path(__file__).parent
ROOTS: Final = HERE.parent / "packages.txt"
LOCK: Final = HERE.parent / "packages.lock"

ESSENTIAL: Final = ("?essential", "?priority(required)", "apt", "usr-is-merged", "usrmerge-")
"""What debootstrap installs by itself; merged directories come with the tree, so nothing merges them."""

_KEYRING: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"
_INSTALLED: Final = re.compile(r"^Inst (?P<name>\S+) \((?P<version>\S+) ", re.MULTILINE)


@dataclass(frozen=True, order=True)
class Package:
    """A package of Debian at one version."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}={self.version}"


@dataclass(frozen=True)
class Source:
    """A suite of Debian and where the build machine gets it from."""

    uri: str
    suite: str


def read_roots(text: str) -> tuple[str, ...]:
    """The packages that the image is asked to have: a name a line, `#` begins a comment."""
    return tuple(word for line in text.splitlines() if (word := line.split("#")[0].strip()))


def read_lock(text: str) -> tuple[Package, ...]:
    """The recorded packages, in the order of their names.

    Raises:
        BuildError: when a line is not `name=version`.
    """
    found = []
    for word in read_roots(text):
        name, equals, version = word.partition("=")
        if not (name and equals and version):
            raise BuildError(f"{LOCK.name} has the line {word!r}; each is name=version")
        found.append(Package(name, version))
    return tuple(sorted(found))


def write_lock(packages: Iterable[Package]) -> str:
    """The text of the recorded list."""
    head = "# Every package of the image. Made by `python -m ami.build lock`; do not edit.\n"
    return head + "".join(f"{package}\n" for package in sorted(packages))


def debian_sources(files: Mapping[str, str]) -> tuple[Source, ...]:
    """The build machine's own sources of this release of Debian; sources of others are left out.

    Args:
        files: the texts of its sources files by name, in both of apt's formats.

    Raises:
        BuildError: when they have no source of the release.
    """
    found: list[Source] = []
    for name, text in sorted(files.items()):
        found += _stanzas(text) if name.endswith(".sources") else _lines(text)
    suites = (RELEASE, f"{RELEASE}-updates", f"{RELEASE}-security")
    ours = {source.suite: source for source in reversed(found) if source.suite in suites}
    if RELEASE not in ours:
        raise BuildError(f"this machine's apt has no source of Debian's {RELEASE}; add one to sources.list")
    return tuple(ours[suite] for suite in suites if suite in ours)


def _stanzas(text: str) -> list[Source]:
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        lines = [line for line in stanza.splitlines() if not line.startswith("#")]
        values = {key.lower(): value.split() for key, _, value in (line.partition(":") for line in lines)}
        if "deb" in values.get("types", ()) and "main" in values.get("components", ()):
            found += [Source(uri, suite) for uri in values["uris"] for suite in values["suites"]]
    return found


def _lines(text: str) -> list[Source]:
    found = []
    for line in text.splitlines():
        words = re.sub(r"\[[^]]*\]", "", line.split("#")[0]).split()
        if len(words) > 3 and words[0] == "deb" and "main" in words[3:]:
            found.append(Source(words[1], words[2]))
    return found


def machine_sources() -> tuple[Source, ...]:
    """The sources of Debian that this machine's apt has."""
    etc = Path("/etc/apt")
    paths = [
        etc / "sources.list",
        *(etc / "sources.list.d").glob("*.list"),
        *(etc / "sources.list.d").glob("*.sources"),
    ]
    return debian_sources({str(path): path.read_text(encoding="utf-8") for path in paths if path.exists()})


def deb822(sources: Iterable[Source]) -> str:
    """The sources as a file of the image, whose updates come from where it was built from."""
    return "\n".join(
        f"Types: deb\nURIs: {source.uri}\nSuites: {source.suite}\nComponents: main\nSigned-By: {_KEYRING}\n"
        for source in sources
    )


@dataclass(frozen=True)
class Apt:
    """An apt of its own in a directory: it knows Debian's packages, and nothing of this machine."""

    directory: Path

    def prepare(self, sources: Iterable[Source]) -> None:
        """Make the directory and fetch the lists of packages."""
        for part in ("state/lists/partial", "cache/archives/partial", "none"):
            (self.directory / part).mkdir(parents=True, exist_ok=True)
        (self.directory / "status").write_text("")
        (self.directory / "debian.sources").write_text(deb822(sources))
        none = self.directory / "none"
        (self.directory / "apt.conf").write_text(
            f'Dir::State "{self.directory}/state";\n'
            f'Dir::State::status "{self.directory}/status";\n'
            f'Dir::Cache "{self.directory}/cache";\n'
            f'Dir::Etc::sourcelist "{self.directory}/debian.sources";\n'
            f'Dir::Etc::sourceparts "{none}";\nDir::Etc::preferences "{none}/none";\n'
            f'Dir::Etc::preferencesparts "{none}";\nDir::Etc::parts "{none}";\n'
            'APT::Architecture "amd64";\nAPT::Architectures "amd64";\nAPT::Install-Recommends "false";\n'
            'APT::Sandbox::User "root";\nAcquire::Languages "none";\nAcquire::Retries "3";\n'
        )
        self._apt("apt-get", "update", "-q")

    def resolve(self, roots: Iterable[str]) -> tuple[Package, ...]:
        """Every package that an empty machine needs for `roots`, at the newest version."""
        output = self._apt("apt-get", "-s", "install", *ESSENTIAL, *roots)
        return tuple(sorted(Package(m["name"], m["version"]) for m in _INSTALLED.finditer(output)))

    def records(self, packages: Iterable[Package]) -> dict[Package, str]:
        """The mirror's record of each package that it still has at that version."""
        wanted = set(packages)
        output = (
            self._apt("apt-cache", "show", "--no-all-versions", *sorted(str(p) for p in wanted))
            if wanted
            else ""
        )
        found: dict[Package, str] = {}
        for record in re.split(r"\n\n+", output.strip()):
            package = Package(field_of(record, "Package"), field_of(record, "Version"))
            if package in wanted:
                found.setdefault(package, record)
        return found

    def known(self, packages: Iterable[Package]) -> set[Package]:
        """Those of the packages that the mirror has at that version."""
        output = self._apt("apt-cache", "madison", *sorted(p.name for p in packages))
        rows = (line.split("|") for line in output.splitlines() if line.count("|") == 2)
        return {Package(name.strip(), version.strip()) for name, version, _ in rows} & set(packages)

    def download(self, packages: Iterable[Package], into: Path) -> None:
        """Fetch packages, checked against the signed lists, into a directory."""
        words = sorted(str(package) for package in packages)
        if words:
            self._apt("apt-get", "-q", "download", *words, cwd=into)

    def _apt(self, *argv: str, cwd: Path | None = None) -> str:
        return run(argv, env={"APT_CONFIG": str(self.directory / "apt.conf"), "LC_ALL": "C"}, cwd=cwd)


def field_of(record: str, name: str) -> str:
    """The value of a one-line field of a package's record; empty when it has none."""
    match = re.search(rf"^{name}: *(.*)$", record, re.MULTILINE)
    return match[1].strip() if match else ""


def moved(wanted: Iterable[Package], known: Iterable[Package]) -> tuple[Package, ...]:
    """The recorded packages that the mirror no longer has."""
    return tuple(sorted(set(wanted) - set(known)))


def make_repository(apt: Apt, packages: tuple[Package, ...], directory: Path) -> None:
    """Make a repository on disk that has just these packages; what is there already is not fetched again.

    Raises:
        BuildError: when the mirror no longer has one of them.
    """
    gone = moved(packages, apt.known(packages))
    if gone:
        raise BuildError(
            f"the mirror no longer has {len(gone)} recorded packages: {', '.join(map(str, gone[:8]))}"
            f"{', …' if len(gone) > 8 else ''}; run `make image-lock`, look at the changes of {LOCK.name},"
            " and build again"
        )
    pool = directory / "pool"
    pool.mkdir(parents=True, exist_ok=True)
    records = apt.records(packages)
    wanted = {
        package: PurePosixPath(field_of(record, "Filename")).name for package, record in records.items()
    }
    have = {path.name for path in pool.glob("*.deb")}
    missing = [package for package, name in wanted.items() if name not in have]
    with tempfile.TemporaryDirectory(dir=directory) as fetched:
        apt.download(missing, Path(fetched))
        for package in missing:
            (Path(fetched) / downloaded_name(records[package])).rename(pool / wanted[package])
    for name in have - set(wanted.values()):
        (pool / name).unlink()
    index = "".join(
        re.sub(r"^Filename: .*$", f"Filename: pool/{wanted[package]}", record, flags=re.MULTILINE) + "\n\n"
        for package, record in sorted(records.items())
    )
    binary = directory / "dists" / RELEASE / "main" / "binary-amd64"
    binary.mkdir(parents=True, exist_ok=True)
    (binary / "Packages").write_text(index, encoding="utf-8")
    content = index.encode()
    (directory / "dists" / RELEASE / "Release").write_text(
        f"Origin: Debian\nSuite: stable\nCodename: {RELEASE}\nArchitectures: amd64\nComponents: main\n"
        f"SHA256:\n {hashlib.sha256(content).hexdigest()} {len(content)} main/binary-amd64/Packages\n"
    )


def downloaded_name(record: str) -> str:
    """The file that `apt-get download` writes for a record: the version's colon is escaped.

    debootstrap takes the escape for something else, so the pool has the mirror's own names.
    """
    name, version = field_of(record, "Package"), field_of(record, "Version")
    return f"{name}_{version.replace(':', '%3a')}_{field_of(record, 'Architecture')}.deb"
