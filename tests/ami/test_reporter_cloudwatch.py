"""A minute on CloudWatch: what is sent, in which calls, and what happens when it is not taken."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import msgspec
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws
from moto.cloudwatch.models import cloudwatch_backends

from ami.node.document import Reporting
from ami.node.reporter import cloudwatch, names, publisher
from ami.node.reporter.cloudwatch import Datum
from ami.node.reporter.collectors import api, machine, redis_server, sockets
from ami.node.reporter.figures import Figure, Metric, Snapshot
from ami.node.reporter.publisher import Publisher

MINUTE = 1_750_000_020
REPORTING = Reporting("Isochrone", "AutoScalingGroupName", "isochrone-geo-ii-node-eu-west-1", 9100, "/logs")
LATE = Metric(api.BROADCAST_LATE, "histogram", "", ("process", "le"))


def snapshot(
    *figures: Figure, overflows: float | None = None, late: dict[str, float] | None = None
) -> Snapshot:
    more = [Figure(LATE, count, ("api-0", le), "_bucket") for le, count in (late or {}).items()]
    if overflows is not None:
        more.append(Figure(sockets.LISTEN_OVERFLOWS, overflows))
    return Snapshot(0, (*figures, *more))


def sent(before: Snapshot | None, after: Snapshot) -> dict[str, tuple[float, ...]]:
    return {datum.metric.name: datum.values for datum in cloudwatch.data(before, after, MINUTE)}


def test_what_is_not_measured_is_not_sent() -> None:
    assert sent(None, snapshot()) == {}
    assert sent(snapshot(), snapshot()) == {}


def test_memory_in_use_is_what_the_kernel_cannot_give_back() -> None:
    figures = (Figure(machine.MEMORY_TOTAL, 1000), Figure(machine.MEMORY_AVAILABLE, 400))
    assert sent(None, snapshot(*figures)) == {"MemoryPercent": (60,)}


def test_the_fullest_file_system_counts() -> None:
    figures = (
        Figure(machine.FILESYSTEM_USED, 10, ("/",)),
        Figure(machine.FILESYSTEM_AVAILABLE, 90, ("/",)),
        Figure(machine.FILESYSTEM_USED, 30, ("/data",)),
        Figure(machine.FILESYSTEM_AVAILABLE, 10, ("/data",)),
    )
    assert sent(None, snapshot(*figures)) == {"DiskPercent": (75,)}


def test_connections_and_the_fullest_services_share() -> None:
    figures = (
        Figure(api.CONNECTIONS, 0),
        Figure(api.DESCRIPTORS_PERCENT, 20, ("api",)),
        Figure(api.DESCRIPTORS_PERCENT, 35, ("nginx",)),
    )
    assert sent(None, snapshot(*figures)) == {"Connections": (0,), "ConnectionsPercent": (35,)}


def test_the_backlog_of_the_ledger() -> None:
    assert sent(None, snapshot(Figure(redis_server.LEDGER_BACKLOG, 12))) == {"LedgerBacklog": (12,)}


def test_overflows_are_those_of_the_minute() -> None:
    assert sent(None, snapshot(overflows=100)) == {}
    assert sent(snapshot(overflows=100), snapshot(overflows=103)) == {"AcceptQueueOverflows": (3,)}
    assert sent(snapshot(overflows=100), snapshot(overflows=100)) == {"AcceptQueueOverflows": (0,)}


WORK = (
    (
        Figure(machine.CPU_SECONDS, 10, ("0", "user")),
        Figure(machine.CPU_SECONDS, 90, ("0", "idle")),
        Figure(machine.NETWORK_BYTES, 1000, ("eth0", "in")),
        Figure(machine.NETWORK_BYTES, 50, ("eth0", "out")),
    ),
    (
        Figure(machine.CPU_SECONDS, 25, ("0", "user")),
        Figure(machine.CPU_SECONDS, 135, ("0", "idle")),
        Figure(machine.NETWORK_BYTES, 1700, ("eth0", "in")),
        Figure(machine.NETWORK_BYTES, 250, ("eth0", "out")),
    ),
)


def test_a_machine_of_its_own_tells_its_processor_and_network_too() -> None:
    before, after = (snapshot(*figures) for figures in WORK)
    told = {d.metric.name: d.values for d in cloudwatch.data(before, after, MINUTE, alone=True)}
    assert told == {"CpuPercent": (25,), "NetworkInBytes": (700,), "NetworkOutBytes": (200,)}
    assert cloudwatch.data(None, after, MINUTE, alone=True) == ()


def test_of_a_machine_of_a_group_aws_takes_them() -> None:
    before, after = (snapshot(*figures) for figures in WORK)
    assert cloudwatch.data(before, after, MINUTE) == ()


def test_broadcasts_of_the_minute_are_sent_with_their_counts() -> None:
    before = snapshot(late={"10.0": 5, "20.0": 5, "+Inf": 5})
    after = snapshot(late={"10.0": 905, "20.0": 1000, "+Inf": 1000})
    assert cloudwatch.data(before, after, MINUTE) == (
        Datum(names.BROADCAST_LATE_MS, MINUTE, (10.0, 20.0), (900, 95)),
    )


def test_more_values_than_a_metric_may_have_are_sent_in_parts() -> None:
    before = snapshot(late={f"{index}.0": 0 for index in range(400)})
    after = snapshot(late={f"{index}.0": index + 1 for index in range(400)})
    data = cloudwatch.data(before, after, MINUTE)
    assert [len(datum.values) for datum in data] == [150, 150, 100]
    assert sum(sum(datum.counts) for datum in data) == 400


SINGLE = st.builds(
    Datum, st.sampled_from(names.CLOUDWATCH_METRICS), st.just(MINUTE), st.just((1.0,)), st.just((1,))
)
SPREAD = st.sampled_from([1, 50, 150]).map(
    lambda n: Datum(names.BROADCAST_LATE_MS, MINUTE, (1.0,) * n, (1,) * n)
)


@given(st.lists(SINGLE | SPREAD, max_size=30), st.integers(1, 100))
def test_every_call_is_within_the_limits_and_nothing_is_lost(data: list[Datum], times: int) -> None:
    batches = list(cloudwatch.batches(data * times))
    assert [datum for batch in batches for datum in batch] == data * times
    for batch in batches:
        assert 0 < len(batch) <= 1000
        assert sum(datum.size_bytes for datum in batch) <= 1_000_000


def test_a_thousand_metrics_are_one_call() -> None:
    one = Datum(names.CONNECTIONS, MINUTE, (1.0,), (1,))
    assert [len(batch) for batch in cloudwatch.batches([one] * 1001)] == [1000, 1]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        yield boto3.client("cloudwatch", region_name="eu-west-1")


class SeenError(Exception):
    """A call that was seen and is not made."""


@pytest.mark.parametrize("values", [1, 150])
def test_no_call_is_longer_than_estimated(client: Any, values: int) -> None:
    long = 1.2345678901234567e-300
    datum = Datum(
        names.BROADCAST_LATE_MS, MINUTE, tuple(long * (i + 1) for i in range(values)), (1 << 40,) * values
    )

    def see(request: Any, **_: Any) -> None:
        raise SeenError(len(request.prepare().body))

    client.meta.events.register("before-sign.cloudwatch.PutMetricData", see)
    client.meta.config.disable_request_compression = True
    batch = (datum,) * 50
    value = "v" * 255
    with pytest.raises(SeenError) as seen:
        client.put_metric_data(**cloudwatch.request(batch, "Isochrone", "AutoScalingGroupName", value))
    assert 1000 < seen.value.args[0] <= sum(each.size_bytes for each in batch)


def test_the_minute_arrives_under_the_machines_name(client: Any) -> None:
    minute = (
        Datum(names.CONNECTIONS, MINUTE, (1200.0,), (1,)),
        Datum(names.BROADCAST_LATE_MS, MINUTE, (10.0, 20.0), (3, 1)),
    )
    Publisher(REPORTING, lambda: client).publish(minute)
    begin, end = datetime.fromtimestamp(MINUTE, UTC), datetime.fromtimestamp(MINUTE + 60, UTC)

    def statistics(name: str, unit: str) -> dict[str, Any]:
        points = client.get_metric_statistics(
            Namespace="Isochrone",
            MetricName=name,
            Dimensions=[{"Name": REPORTING.dimension, "Value": REPORTING.dimension_value}],
            StartTime=begin,
            EndTime=end,
            Period=60,
            Statistics=["Sum", "SampleCount", "Maximum"],
            Unit=unit,
        )["Datapoints"]
        assert len(points) == 1
        found: dict[str, Any] = points[0]
        return found

    assert statistics("Connections", "Count")["Sum"] == 1200
    late = statistics("BroadcastLateMs", "Milliseconds")
    assert (late["SampleCount"], late["Sum"], late["Maximum"]) == (4, 50, 20)
    assert {each["MetricName"] for each in client.list_metrics(Namespace="Isochrone")["Metrics"]} == {
        "Connections",
        "BroadcastLateMs",
    }


class Cloud:
    """A client that refuses while told to."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.calls: list[list[float]] = []

    def put_metric_data(self, **arguments: Any) -> None:
        if self.error is not None:
            raise self.error
        self.calls.append([each["Value"] for each in arguments["MetricData"]])


def minute(value: float) -> tuple[Datum, ...]:
    return (Datum(names.CONNECTIONS, MINUTE, (value,), (1,)),)


def state(of: Publisher) -> dict[str, float]:
    return {figure.metric.name: figure.value for figure in of.collect()}


UNREACHABLE = EndpointConnectionError(endpoint_url="https://monitoring")


def test_a_minute_that_was_not_taken_is_sent_with_the_next(caplog: pytest.LogCaptureFixture) -> None:
    cloud = Cloud()
    publishing = Publisher(REPORTING, lambda: cloud)
    cloud.error = UNREACHABLE
    publishing.publish(minute(1))
    publishing.publish(minute(2))
    assert state(publishing) == {publisher.WAITING.name: 2, publisher.FAILURES.name: 2}
    assert len(caplog.messages) == 1
    cloud.error = None
    publishing.publish(minute(3))
    assert cloud.calls == [[1, 2, 3]]
    assert state(publishing)[publisher.WAITING.name] == 0
    assert publisher.PUBLISHED_AT.name in state(publishing)


def test_the_latest_are_kept_when_nothing_is_taken_for_long() -> None:
    cloud = Cloud()
    publishing = Publisher(REPORTING, lambda: cloud)
    cloud.error = UNREACHABLE
    for value in range(publisher.MOST_WAITING + 5):
        publishing.publish(minute(value))
    cloud.error = None
    publishing.publish(())
    assert cloud.calls == [[float(value) for value in range(5, publisher.MOST_WAITING + 5)]]


def test_a_call_that_would_never_be_taken_is_given_up() -> None:
    cloud = Cloud()
    publishing = Publisher(REPORTING, lambda: cloud)
    cloud.error = ClientError({"Error": {"Code": "InvalidParameterValue", "Message": "no"}}, "PutMetricData")
    publishing.publish(minute(1))
    cloud.error = None
    publishing.publish(minute(2))
    assert cloud.calls == [[2]]


class Minutes(threading.Event):
    """Time that passes only while it is waited for; stops after some waits."""

    def __init__(self, now_s: float, waits: int) -> None:
        super().__init__()
        self.now_s = now_s
        self.left = waits
        self.waited: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        if self.left == 0:
            return True
        self.left -= 1
        self.now_s += timeout or 0
        self.waited.append(self.now_s)
        return False


def test_each_minute_is_sent_once_and_stamped_with_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Minutes(MINUTE + 17.5, waits=3)
    monkeypatch.setattr("ami.node.reporter.publisher.time.time", lambda: stop.now_s)
    stamps: list[tuple[int, dict[str, float]]] = []

    class Recorder(Publisher):
        def publish(self, minute: tuple[Datum, ...]) -> None:
            stamps.extend((each.at_s, {each.metric.name: each.values[0]}) for each in minute)

    snapshots = iter([snapshot(overflows=5), snapshot(overflows=7), snapshot(overflows=7)])
    publisher.every_minute(Recorder(REPORTING, Cloud), lambda: next(snapshots), stop, jitter_s=2.5)
    assert stop.waited == [MINUTE + 62.5, MINUTE + 122.5, MINUTE + 182.5]
    assert stamps == [
        (MINUTE + 60, {"AcceptQueueOverflows": 2}),
        (MINUTE + 120, {"AcceptQueueOverflows": 0}),
    ]


@pytest.mark.parametrize(("dimension", "names_sent"), [("Machine", 3), ("AutoScalingGroupName", 0)])
def test_where_a_machine_reports_says_whether_it_is_one_of_its_own(
    dimension: str, names_sent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = Minutes(MINUTE, waits=2)
    monkeypatch.setattr("ami.node.reporter.publisher.time.time", lambda: stop.now_s)
    cloud = Cloud()
    turns = (snapshot(*figures) for figures in WORK)
    reporter = Publisher(msgspec.structs.replace(REPORTING, dimension=dimension), lambda: cloud)
    publisher.every_minute(reporter, lambda: next(turns), stop, jitter_s=0)
    assert sum(map(len, cloud.calls)) == names_sent


def test_a_minute_that_cannot_be_measured_does_not_end_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Minutes(MINUTE, waits=2)
    monkeypatch.setattr("ami.node.reporter.publisher.time.time", lambda: stop.now_s)
    cloud = Cloud()
    turns: Iterator[Exception | Snapshot] = iter([ZeroDivisionError(), snapshot(Figure(api.CONNECTIONS, 4))])

    def measured() -> Snapshot:
        turn = next(turns)
        if isinstance(turn, Exception):
            raise turn
        return turn

    publisher.every_minute(Publisher(REPORTING, lambda: cloud), measured, stop, jitter_s=0)
    assert cloud.calls == [[4]]


def test_backends_are_those_of_the_region(client: Any) -> None:
    Publisher(REPORTING, lambda: client).publish(minute(1))
    assert [
        len(cloudwatch_backends["123456789012"][region].metric_data) for region in ("eu-west-1", "us-east-1")
    ] == [
        1,
        0,
    ]
