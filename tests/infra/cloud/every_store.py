"""What holds of the data of every stack: secrets, Redis, SQL."""

from __future__ import annotations

from infra.addresses import REDIS_HOST
from infra.hardware import ordered_class
from infra.secret_names import SECRET_KEYS, secret_name, secret_regions
from infra.sql_parameters import parameters
from tests.infra.cloud.view import View


class EveryStore:
    def test_each_secret_is_where_it_is_read(self, view: View) -> None:
        a = view.site.architecture
        for key in SECRET_KEYS:
            secret = view.client("secretsmanager").describe_secret(SecretId=secret_name(view.site, key))
            copies = [copy["Region"] for copy in secret.get("ReplicationStatus", [])]
            assert (view.site.home, *sorted(copies)) == secret_regions(a, key)

    def test_secrets_have_values_of_their_own(self, view: View) -> None:
        client = view.client("secretsmanager")
        a = view.site.architecture
        values = {
            key: client.get_secret_value(SecretId=secret_name(view.site, key))["SecretString"]
            for key in SECRET_KEYS
            if key != "tls-certificate" or a.certificate == "given"
        }
        assert len(set(values.values())) == len(values)
        assert set(values.values()) <= view.declared.secrets

    def test_no_secret_leaves_its_place(self, view: View) -> None:
        assert view.declared.leaks() == []

    def test_redis_machines_are_at_the_addresses_of_the_plan(self, view: View) -> None:
        a = view.site.architecture
        machines = 0 if a.redis.placement == "node" else 1 + a.redis.standbys
        home = view.site.addresses[view.site.home]
        planned = [str(home.host(zone, REDIS_HOST)) for zone in range(machines)]
        found = view.instances("redis")
        assert [machine["PrivateIpAddress"] for machine in found] == planned
        zones = {machine["Placement"]["AvailabilityZone"] for machine in found}
        assert len(zones) == machines

    def test_redis_data_is_on_a_volume_that_outlives_the_machine(self, view: View) -> None:
        volume = view.site.architecture.redis.volume
        for machine in view.instances("redis"):
            attached = {m["DeviceName"]: m["Ebs"] for m in machine["BlockDeviceMappings"]}
            data = attached["/dev/xvdf"]
            (disk,) = view.client("ec2").describe_volumes(VolumeIds=[data["VolumeId"]])["Volumes"]
            assert volume
            assert disk["Size"] == volume.size_gib
            assert disk.get("Iops") == volume.iops
            assert disk["Encrypted"]
            assert not data.get("DeleteOnTermination")

    def test_sql_servers_are_where_the_placement_says(self, view: View) -> None:
        a = view.site.architecture
        placed = set() if a.sql.placement == "node" else {a.home, *a.sql_placement.source_of}
        for region in view.site.regions:
            found = view.client("rds", region).describe_db_instances()["DBInstances"]
            assert len(found) == (region in placed)

    def test_each_replica_copies_from_its_source(self, view: View) -> None:
        a = view.site.architecture
        if a.sql.placement == "node":
            return
        master = view.server(a.home)
        assert "ReadReplicaSourceDBInstanceIdentifier" not in master
        for region, source in a.sql_placement.source_of.items():
            replica = view.server(region)
            assert replica["ReadReplicaSourceDBInstanceIdentifier"] == view.server(source)["DBInstanceArn"]
            # RDS can copy from a server with backups only.
            assert view.server(source)["BackupRetentionPeriod"] > 0

    def test_sql_servers_are_of_the_ordered_class_and_disk(self, view: View) -> None:
        a = view.site.architecture
        if a.sql.placement == "node":
            return
        assert a.sql.volume
        for region in (a.home, *a.sql_placement.source_of):
            server = view.server(region)
            named = a.sql.instance_class if region == a.home else a.sql.replica_class
            assert server["DBInstanceClass"] == ordered_class(a.hardware, named or "")
            assert server["AllocatedStorage"] == a.sql.volume.size_gib
            assert server.get("Iops") == a.sql.volume.iops
            assert server["Engine"] == a.sql.engine

    def test_sql_servers_are_private_and_encrypted_with_a_key_of_their_region(self, view: View) -> None:
        a = view.site.architecture
        if a.sql.placement == "node":
            return
        for region in (a.home, *a.sql_placement.source_of):
            server = view.server(region)
            assert not server["PubliclyAccessible"]
            assert server["StorageEncrypted"]
            assert server["KmsKeyId"].split(":")[3] == region
            assert view.client("kms", region).get_key_rotation_status(KeyId=server["KmsKeyId"])[
                "KeyRotationEnabled"
            ]
            isolated = {str(network) for network in view.site.addresses[region].isolated}
            ours = {s["SubnetId"] for s in view.subnets(region) if s["CidrBlock"] in isolated}
            assert {s["SubnetIdentifier"] for s in server["DBSubnetGroup"]["Subnets"]} == ours

    def test_sql_servers_have_the_settings_of_the_thesis(self, view: View) -> None:
        a = view.site.architecture
        if a.sql.placement == "node":
            return
        wanted = parameters(a.sql)
        flushed = {"everysec": "2", "commit": "1"}[a.sql.log_flush]
        assert wanted.items() >= {"max_connections": "500", "innodb_flush_log_at_trx_commit": flushed}.items()
        for region in (a.home, *a.sql_placement.source_of):
            (group,) = view.server(region)["DBParameterGroups"]
            listed = view.client("rds", region).describe_db_parameters(
                DBParameterGroupName=group["DBParameterGroupName"]
            )["Parameters"]
            found = {p["ParameterName"]: p.get("ParameterValue") for p in listed}
            assert wanted.items() <= found.items()

    def test_data_is_protected_when_the_file_says_so(self, view: View) -> None:
        a = view.site.architecture
        for type_ in (
            "rds/instance:Instance",
            "kms/key:Key",
            "ebs/volume:Volume",
            "secretsmanager/secret:Secret",
            "route53/zone:Zone",
        ):
            for resource in view.declared.of_type(type_):
                assert resource.protect == a.protect, resource.name
        if a.sql.placement != "node":
            for region in (a.home, *a.sql_placement.source_of):
                assert view.server(region)["DeletionProtection"] == a.protect
        for server in view.declared.of_type("rds/instance:Instance"):
            last = "replicateSourceDb" not in server.inputs and a.protect
            assert server.inputs["skipFinalSnapshot"] != last
