"""The server for the real engine: it takes CBOR, which moto does not know, and answers in one piece."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError
from botocore.session import Session

from tests.engine.server import serving

ALARM = {
    "AlarmName": "busy",
    "MetricName": "CPUUtilization",
    "Namespace": "AWS/EC2",
    "Statistic": "Average",
    "Dimensions": [{"Name": "InstanceId", "Value": "i-1"}],
    "Period": 60,
    "EvaluationPeriods": 2,
    "Threshold": 80,
    "ComparisonOperator": "GreaterThanThreshold",
    "ActionsEnabled": True,
    "AlarmActions": ["arn:aws:sns:eu-west-1:123456789012:watch"],
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with serving() as endpoint:
        yield endpoint


def client(endpoint: str, protocol: str) -> Any:
    """A client of CloudWatch that speaks one protocol, with the parts of botocore for it."""
    session = Session()
    loader = session.get_component("data_loader")
    load = loader.load_service_model

    def only(service: str, kind: str, **how: Any) -> Any:
        model = load(service, kind, **how)
        if kind == "service-2":
            model["metadata"] |= {"protocol": protocol, "protocols": [protocol]}
        return model

    loader.load_service_model = only
    made = session.create_client(
        "cloudwatch",
        region_name="eu-west-1",
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    assert made.meta.service_model.resolved_protocol == protocol
    return made


@pytest.fixture
def by_cbor(endpoint: str) -> Any:
    return client(endpoint, "smithy-rpc-v2-cbor")


@pytest.fixture
def by_json(endpoint: str) -> Any:
    return client(endpoint, "json")


def without_answer(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != "ResponseMetadata"}


def test_what_is_made_by_cbor_is_there_and_reads_the_same_in_both(by_cbor: Any, by_json: Any) -> None:
    by_cbor.put_metric_alarm(**ALARM)
    found = without_answer(by_cbor.describe_alarms(AlarmNames=["busy"]))
    assert found == without_answer(by_json.describe_alarms(AlarmNames=["busy"]))
    (alarm,) = found["MetricAlarms"]
    assert {key: alarm[key] for key in ALARM} == ALARM
    assert isinstance(alarm["Threshold"], float)
    assert alarm["AlarmConfigurationUpdatedTimestamp"].tzinfo


def test_moments_and_numbers_arrive_as_what_they_are(by_cbor: Any) -> None:
    at = datetime.now(UTC).replace(second=0, microsecond=0)
    datum = {"MetricName": "Late", "Timestamp": at, "Value": 3}
    by_cbor.put_metric_data(Namespace="Isochrone", MetricData=[datum])
    found = by_cbor.get_metric_statistics(
        Namespace="Isochrone",
        MetricName="Late",
        StartTime=at,
        EndTime=at.replace(year=at.year + 1),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    assert [(point["Timestamp"], point["Sum"]) for point in found] == [(at, 3.0)]


def test_an_operation_without_output_and_one_that_is_refused(by_cbor: Any) -> None:
    by_cbor.put_metric_alarm(**ALARM)
    by_cbor.delete_alarms(AlarmNames=["busy"])
    assert by_cbor.describe_alarms(AlarmNames=["busy"])["MetricAlarms"] == []
    with pytest.raises(ClientError) as caught:
        by_cbor.get_dashboard(DashboardName="nowhere")
    error = caught.value.response["Error"]
    assert (error["Code"], error["Message"]) == ("ResourceNotFound", "Dashboard does not exist")


@pytest.mark.parametrize(
    ("service", "path", "content", "body"),
    [
        ("ec2", "/", "application/x-www-form-urlencoded", b"Action=DescribeVpcs&Version=2016-11-15"),
        (
            "monitoring",
            "/service/GraniteServiceVersion20100801/operation/DescribeAlarms",
            "application/cbor",
            b"\xa0",
        ),
    ],
)
def test_an_answer_is_there_whole_when_its_first_byte_is(
    endpoint: str, service: str, path: str, content: str, body: bytes
) -> None:
    """Else the provider may break the connection between head and body, and make the same thing again."""
    address = urlsplit(endpoint)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: {content}\r\n"
        f"Content-Length: {len(body)}\r\nAuthorization: AWS4-HMAC-SHA256 Credential="
        f"test/20300101/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=0\r\n\r\n"
    )
    for _ in range(5):
        with socket.create_connection((address.hostname, address.port), timeout=30) as client:
            client.sendall(head.encode() + body)
            answer_head, _, answer = client.recv(1 << 20).partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in answer_head.decode().split("\r\n")[1:])
        assert len(answer) == int(fields["Content-Length"]) > 0
