"""An architecture that chooses otherwise wherever it can: current machines, chained replicas, Sentinel."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from ami.node.certificates import self_signed
from infra.flows import Place
from infra.regions import REGIONS
from tests.infra.cloud.every_machine import EveryMachine
from tests.infra.cloud.every_network import EveryNetwork
from tests.infra.cloud.every_store import EveryStore
from tests.infra.cloud.every_watch import EveryWatch, records
from tests.infra.cloud.view import View

STACK = "otherwise"

START = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
END, EXPIRY = START + timedelta(hours=3), START + timedelta(days=2)
CERTIFICATE = self_signed(("play.market.example", "*.play.market.example")).pem

LOADED = {"sa-east-1", "us-west-1", "eu-west-1"}
"""N. California is among them: an account sees two zones there, and the network at home spans three."""

TEXT = f"""
config:
  isochrone:title: Everything otherwise
  isochrone:home: eu-west-1
  isochrone:domain: market.example
  isochrone:hardware: current
  isochrone:protect: false
  isochrone:zones: 3
  isochrone:expiry: {EXPIRY.isoformat()}
  isochrone:certificate: given
  isochrone:secrets: {{tls-certificate: {{secure: {json.dumps(CERTIFICATE)}}}}}
  isochrone:alarms: {{email: operators@market.example}}
  isochrone:nodes:
    regions: [us-east-1, us-west-2, eu-west-1, ap-southeast-1, ap-southeast-2, ap-northeast-1]
    instance-type: m3.2xlarge
    api-processes: 4
    volume: {{size-gib: 140, iops: 4000}}
    scaling: {{policy: connections, minimum: 1, maximum: 3, connections-per-node: 20000}}
    schedules:
    - {{name: final, start: {START.isoformat()}, end: {END.isoformat()}, per-region: 3}}
  isochrone:load:
    instance-type: m3.xlarge
    per-region: 2
    regions: [sa-east-1, us-west-1, eu-west-1]
    keep-days: 5
  isochrone:core:
    instance-type: m3.medium
    volume: {{size-gib: 20}}
  isochrone:redis:
    placement: replicated
    instance-type: m2.xlarge
    volume: {{size-gib: 140, iops: 4000}}
    standbys: 2
  isochrone:sql:
    placement: replicated
    instance-class: db.r3.2xlarge
    volume: {{size-gib: 100, iops: 1000}}
    replica-class: db.m3.medium
    replica-regions: [us-east-1, us-west-2, ap-southeast-1, ap-northeast-1, ap-southeast-2]
    limits: {{replicas-per-source: 2, chain-length: 2, region-crossings: 2}}
  isochrone:routing:
    policy: geolocation
    ttl-s: 30
"""


class TestNetwork(EveryNetwork):
    pass


class TestMachine(EveryMachine):
    pass


class TestStore(EveryStore):
    pass


class TestWatch(EveryWatch):
    pass


class TestOtherwise:
    def test_replicas_are_chained_when_the_limits_ask_for_it(self, view: View) -> None:
        sources = view.site.architecture.sql_placement.source_of
        assert set(sources) == {
            "us-east-1",
            "us-west-2",
            "ap-southeast-1",
            "ap-northeast-1",
            "ap-southeast-2",
        }
        chained = {region for region, source in sources.items() if source != "eu-west-1"}
        assert len(chained) == 3
        for region in set(sources.values()):
            assert view.server(region)["BackupRetentionPeriod"] == 7

    def test_standbys_and_their_sentinels_are_told_of_each_other(self, view: View) -> None:
        hosts = [machine["PrivateIpAddress"] for machine in view.instances("redis")]
        assert len(hosts) == 3
        told = view.told(Place("redis", "eu-west-1"))
        assert [document["redis"]["runs"] for document in told] == ["master", "replica", "replica"]
        for document in told:
            assert [sentinel["host"] for sentinel in document["redis"]["sentinels"]] == hosts

    def test_a_match_has_its_machines_and_their_addresses_and_then_the_stack_expires(
        self, view: View
    ) -> None:
        for region in view.site.architecture.nodes.regions:
            (group,) = view.groups(region, "node")
            found = view.client("autoscaling", region).describe_scheduled_actions(
                AutoScalingGroupName=group["AutoScalingGroupName"]
            )["ScheduledUpdateGroupActions"]
            sizes = {action["StartTime"]: (action["MinSize"], action.get("MaxSize")) for action in found}
            assert sizes[START] == (3, 3)
            assert sizes[END][0] == 1
            assert sizes[EXPIRY] == (0, 0)

    def test_the_given_certificate_is_where_every_node_reads_it(self, view: View) -> None:
        client = view.client("secretsmanager")
        name = "isochrone/otherwise/tls-certificate"
        assert client.get_secret_value(SecretId=name)["SecretString"] == CERTIFICATE
        copies = {c["Region"] for c in client.describe_secret(SecretId=name)["ReplicationStatus"]}
        assert copies == set(view.site.architecture.nodes.regions) - {"eu-west-1"}
        assert CERTIFICATE in view.declared.secrets

    def test_users_everywhere_have_an_answer_also_where_nobody_is(self, view: View) -> None:
        places = [record["GeoLocation"] for record in records(view, view.site.play_name)]
        assert {"CountryCode": "*"} in places
        assert set(REGIONS) > set(view.site.architecture.nodes.regions)


class TestLoadFleet:
    def bucket(self, view: View) -> str:
        (bucket,) = view.client("s3").list_buckets()["Buckets"]
        name: str = bucket["Name"]
        return name

    def statements(self, view: View, role: str) -> dict[str, dict[str, Any]]:
        name = view.site.name(role)
        found = view.client("iam").get_role_policy(RoleName=name, PolicyName=role)["PolicyDocument"]
        return {statement["Sid"]: statement for statement in found["Statement"]}

    def test_its_machines_are_where_the_file_says_also_where_no_node_is(self, view: View) -> None:
        assert "sa-east-1" not in view.site.architecture.nodes.regions
        for region in REGIONS:
            groups = view.groups(region, "load")
            assert len(groups) == (region in LOADED)
        assert set(view.declared.exports["load_groups"]) == LOADED

    def test_nobody_can_open_a_connection_to_them(self, view: View) -> None:
        for region in LOADED:
            for spot in view.spots(Place("load", region)):
                assert not [r for r in view.networks.rules if r.group in spot.groups and not r.egress]

    def test_they_end_when_the_stack_expires(self, view: View) -> None:
        (group,) = view.groups("sa-east-1", "load")
        (action,) = view.client("autoscaling", "sa-east-1").describe_scheduled_actions(
            AutoScalingGroupName=group["AutoScalingGroupName"]
        )["ScheduledUpdateGroupActions"]
        assert (action["StartTime"], action["MinSize"], action["MaxSize"]) == (EXPIRY, 0, 0)

    def test_the_bucket_is_private_encrypted_and_forgets(self, view: View) -> None:
        s3, name = view.client("s3"), self.bucket(view)
        assert name == view.declared.exports["load_bucket"]
        block = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
        assert all(block.values())
        assert len(block) == 4
        (rule,) = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
        rules = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
        assert {rule["Filter"]["Prefix"]: rule["Expiration"]["Days"] for rule in rules} == {"jobs/": 1, "": 5}
        (owner,) = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
        assert owner["ObjectOwnership"] == "BucketOwnerEnforced"
        (statement,) = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])["Statement"]
        assert statement["Effect"] == "Deny"
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=name)["TagSet"]}
        assert tags["isochrone:stack"] == "otherwise"

    def test_it_goes_with_a_stack_that_protects_nothing(self, view: View) -> None:
        (bucket,) = view.declared.of_type("s3/bucket:Bucket")
        assert bucket.inputs["forceDestroy"] is True

    def test_a_machine_fetches_jobs_and_leaves_results_and_nothing_else(self, view: View) -> None:
        arn = f"arn:aws:s3:::{self.bucket(view)}"
        found = self.statements(view, "load")
        on_s3 = {
            (action, resource)
            for statement in found.values()
            for action in statement["Action"]
            for resource in statement["Resource"]
            if action.startswith("s3:")
        }
        assert on_s3 == {("s3:GetObject", f"{arn}/jobs/*"), ("s3:PutObject", f"{arn}/results/*")}
        assert not [action for s in found.values() for action in s["Action"] if "secretsmanager" in action]

    def test_only_the_steward_leaves_what_the_books_say(self, view: View) -> None:
        found = self.statements(view, "core")["LeaveBooks"]
        assert found["Resource"] == [f"arn:aws:s3:::{self.bucket(view)}/books/*"]
        assert "LeaveBooks" not in self.statements(view, "node")
