"""`isochrone image publish` says what to do next, also when it cannot publish; it never shows a traceback."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from tests.ami.strict_ebs import BLOCK, HOME, Ebs, refusal, strict_ebs, write_disk  # isort: skip

from moto.core.exceptions import JsonRESTError
from moto.ec2.exceptions import EC2ClientError
from typer.testing import CliRunner, Result

from ami.commands import app
from ami.publish.publication import publish
from ami.publish.state import load, state_file_of


@pytest.fixture
def ebs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ebs]:
    with strict_ebs(monkeypatch) as ebs:
        yield ebs


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return write_disk(tmp_path / "disk.raw", [0, 5], 8 * BLOCK)


def run(*args: object) -> Result:
    result = CliRunner().invoke(app, ["publish", *map(str, args)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


def refused(*args: object) -> str:
    """The one line that says why."""
    result = run(*args)
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.strip().splitlines()
    return line


def test_it_says_what_to_put_into_the_image_stack(ebs: Ebs, disk: Path) -> None:
    result = run(disk)
    (snapshot,) = ebs.snapshots()
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"{snapshot} in eu-west-1 is the disk: 1 GiB, of which 2 blocks (1 MiB) are not empty;"
        " 2 were sent now.",
        "",
        "Until a stack is upped it starts machines from the image that is registered now. Keep it:",
        "  pulumi config set --path 'isochrone:previous[0].snapshot'"
        ' "$(pulumi config get isochrone:snapshot -s image)" -s image',
        "  pulumi config set --path 'isochrone:previous[0].image' before -s image",
        "  pulumi config set --path 'isochrone:previous[0].tested' true -s image",
        "",
        "Register the new one and copy it to every region:",
        f"  pulumi config set isochrone:snapshot {snapshot} -s image",
        "  pulumi up -s image",
        "",
        "isochrone:size-gib has to be 1 or more. No stack uses the image before this"
        " snapshot is said to be tested:",
        f"  pulumi config set isochrone:tested {snapshot} -s image && pulumi up -s image",
        "",
        "When every stack was upped with it, the earlier image may go:",
        "  pulumi config rm --path 'isochrone:previous[0]' -s image && pulumi up -s image",
    ]
    assert result.stderr == ""


def test_programs_get_json_and_nothing_else(ebs: Ebs, disk: Path) -> None:
    result = run(disk, "--json")
    (snapshot,) = ebs.snapshots()
    found = json.loads(result.stdout)
    assert len(found.pop("fingerprint")) == 64
    assert found == {
        "snapshot": snapshot,
        "region": "eu-west-1",
        "size_gib": 1,
        "blocks": 2,
        "sent": 2,
        "then": [f"pulumi config set isochrone:snapshot {snapshot} -s image", "pulumi up -s image"],
    }


def test_notes_do_not_disturb_programs(ebs: Ebs, disk: Path) -> None:
    run(disk)
    result = run(disk, "--json")
    assert json.loads(result.stdout)["sent"] == 0
    assert result.stderr == f"{ebs.snapshots()[0]} has this disk already\n"


def test_region_and_state_file_may_be_named(ebs: Ebs, disk: Path, tmp_path: Path) -> None:
    result = run(disk, "--region", "us-east-1", "--state", tmp_path / "state", "--parallel", "3", "--json")
    upload = load(tmp_path / "state")
    assert upload is not None
    assert upload.region == json.loads(result.stdout)["region"] == "us-east-1"
    assert not state_file_of(disk, "us-east-1").exists()


def test_it_is_a_command_of_the_group(ebs: Ebs) -> None:
    result = CliRunner().invoke(app, ["publish", "--help"])
    assert result.exit_code == 0
    assert "--state" in result.stdout


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "there is no disk {}; `make image` builds it"),
        (b"", "{} is empty; `make image` builds a disk"),
        (bytes(BLOCK), "{} has nothing but zeros on it; `make image` builds a disk"),
    ],
    ids=["missing", "empty", "zeros"],
)
def test_what_is_no_disk_is_refused(ebs: Ebs, tmp_path: Path, content: bytes | None, why: str) -> None:
    disk = tmp_path / "disk.raw"
    if content is not None:
        disk.write_bytes(content)
    assert refused(disk) == f"error: {why.format(disk)}"
    assert not ebs.tried
    assert not state_file_of(disk, HOME).exists()


def test_a_directory_is_no_disk(ebs: Ebs, tmp_path: Path) -> None:
    assert refused(tmp_path) == (
        f"error: {tmp_path} is not a file; name the raw disk image that `make image` builds"
    )


def test_a_disk_is_published_by_one_run_at_a_time(ebs: Ebs, disk: Path) -> None:
    with disk.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert refused(disk) == f"error: {disk} is being published by another run; wait until it ends"
    assert run(disk).exit_code == 0


def test_a_state_that_cannot_be_written_is_refused_before_anything_is_begun(ebs: Ebs, disk: Path) -> None:
    state = disk.with_name("nowhere") / "state"
    assert refused(disk, "--state", state) == (
        f"error: {state} cannot be written: No such file or directory; name a file that can be with --state"
    )
    assert not ebs.tried


def test_a_state_that_is_none_is_refused(ebs: Ebs, disk: Path) -> None:
    state_file_of(disk, HOME).write_text("{}", encoding="utf-8")
    assert "is not the state of a publication" in refused(disk)
    assert not ebs.tried


def test_without_credentials_it_says_how_to_get_some(
    ebs: Ebs, disk: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    assert refused(disk) == (
        "error: no snapshot could be begun in eu-west-1: there are no AWS credentials; log in"
        " (`aws sso login` or `aws configure`), or set AWS_PROFILE"
    )


def test_a_profile_that_is_none_is_refused(
    ebs: Ebs, disk: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    assert refused(disk) == (
        "error: AWS in eu-west-1 cannot be asked: The config profile (nobody) could not be found; set"
        " AWS_PROFILE to one of `aws configure list-profiles`"
    )


def test_a_region_that_is_none_is_refused(ebs: Ebs, disk: Path) -> None:
    assert "name a region such as eu-west-1 with --region" in refused(disk, "--region", "eu west 1")


@pytest.mark.parametrize(
    ("operation", "what"),
    [
        ("StartSnapshot", "no snapshot could be begun in eu-west-1"),
        ("PutSnapshotBlock", "block 0 could not be sent to {}"),
        ("CompleteSnapshot", "{} could not be completed"),
    ],
)
def test_without_permission_it_names_those_that_it_needs(
    ebs: Ebs, disk: Path, operation: str, what: str
) -> None:
    def fails(asked: str, _index: int) -> JsonRESTError | None:
        return refusal("AccessDeniedException", "You may not.", 403) if asked == operation else None

    ebs.fails = fails
    line = refused(disk, "--parallel", 1)
    assert line.startswith(f"error: {what.format(*ebs.snapshots())}: AWS does not permit it (You may not);")
    assert "ebs:StartSnapshot, ebs:PutSnapshotBlock, ebs:CompleteSnapshot, ec2:CreateTags" in line


def test_without_the_permission_to_look_it_names_that_too(
    ebs: Ebs, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_self: object) -> str:
        raise EC2ClientError("UnauthorizedOperation", "You are not authorized")

    monkeypatch.setattr("moto.ec2.responses.elastic_block_store.ElasticBlockStore.describe_snapshots", denied)
    line = refused(disk)
    assert "could not be waited for: AWS does not permit it (You are not authorized)" in line
    assert "ec2:DescribeSnapshots" in line


def test_credentials_that_aws_does_not_accept_are_told_from_permissions(ebs: Ebs, disk: Path) -> None:
    ebs.fails = lambda *_: refusal("ExpiredTokenException", "The security token is expired", 403)
    assert refused(disk) == (
        "error: no snapshot could be begun in eu-west-1: AWS does not accept the credentials (The security"
        " token is expired); log in anew, or set AWS_PROFILE"
    )


def test_an_interruption_is_no_error_and_says_how_to_go_on(
    ebs: Ebs, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ami.publish.snapshots.Snapshots.wait", interrupt)
    result = run(disk)
    assert result.exit_code == 130
    assert result.stderr == (
        "interrupted; what AWS has is kept: run the same command again within 24 hours to go on\n"
    )


def test_an_interruption_before_anything_was_sent_has_nothing_to_go_on_with(
    ebs: Ebs, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ami.publish.publication.contents", interrupt)
    assert run(disk).stderr == "interrupted\n"


def test_a_network_that_fails_is_said_to(ebs: Ebs, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ami.publish.snapshots.ATTEMPTS", 1)
    # Nothing listens there; moto does not answer for it.
    monkeypatch.setenv("AWS_ENDPOINT_URL_EBS", "http://127.0.0.1:9")
    line = refused(disk)
    assert line.startswith("error: no snapshot could be begun in eu-west-1: AWS cannot be reached (")
    assert line.endswith("see that the region exists and the network works")


def test_an_answer_that_is_not_of_aws_is_said_to_be_none(
    ebs: Ebs, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "moto.ec2.responses.elastic_block_store.ElasticBlockStore.describe_snapshots", lambda _: "Welcome!"
    )
    assert refused(disk).endswith(
        "could not be waited for: what answers is not AWS; see whether a proxy is in between"
    )


def test_the_commands_answer_is_that_of_the_function(ebs: Ebs, disk: Path) -> None:
    published = publish(disk, HOME)
    assert json.loads(run(disk, "--json").stdout)["snapshot"] == published.snapshot
