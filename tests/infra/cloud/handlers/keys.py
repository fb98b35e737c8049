"""Keys and secrets."""

from __future__ import annotations

from tests.infra.cloud.account import ACCOUNT_ID
from tests.infra.cloud.inputs import Inputs, tag_list
from tests.infra.cloud.refusals import identity as refuse
from tests.infra.cloud.refusals.policies import check_policy
from tests.infra.cloud.registry import Made, Place, handler


@handler("aws:kms/key:Key")
def key(place: Place, inputs: Inputs) -> Made:
    kms = place.client("kms")
    days = inputs.get("deletionWindowInDays", 30)
    refuse.key_gone_wrong(days)
    params = inputs.params(
        description="Description",
        policy="Policy",
        keyUsage="KeyUsage",
        customerMasterKeySpec="KeySpec",
        multiRegion="MultiRegion",
    )
    if "Policy" in params:
        check_policy(params["Policy"], principal=True, most=32_768)
        refuse.key_that_locks_out(params["Policy"], ACCOUNT_ID)
    tags = [{"TagKey": name, "TagValue": value} for name, value in inputs.tags().items()]
    made = kms.create_key(**params, Tags=tags)["KeyMetadata"]
    if inputs.get("enableKeyRotation", False):
        kms.enable_key_rotation(
            KeyId=made["KeyId"], **inputs.params(rotationPeriodInDays="RotationPeriodInDays")
        )
    return Made(made["KeyId"], {"arn": made["Arn"], "keyId": made["KeyId"]})


@handler("aws:kms/alias:Alias")
def alias(place: Place, inputs: Inputs) -> Made:
    name, target = inputs.take("name"), inputs.take("targetKeyId")
    refuse.alias_of_nothing(place, name, target)
    place.client("kms").create_alias(AliasName=name, TargetKeyId=target)
    return Made(name, {"arn": f"arn:aws:kms:{place.region}:{ACCOUNT_ID}:{name}", "targetKeyArn": target})


@handler("aws:secretsmanager/secret:Secret")
def secret(place: Place, inputs: Inputs) -> Made:
    inputs.only("forceOverwriteReplicaSecret", True, False)
    refuse.secret_gone_wrong(inputs.get("recoveryWindowInDays", 30))
    params = inputs.params(name="Name", description="Description", kmsKeyId="KmsKeyId")
    refuse.secret_misnamed(params["Name"])
    if "KmsKeyId" in params:
        refuse.key_in_region(place, params["KmsKeyId"])
    replicas = [part.params(region="Region", kmsKeyId="KmsKeyId") for part in inputs.parts("replicas")]
    refuse.replicated_twice(place, [replica["Region"] for replica in replicas])
    tags = inputs.tags()
    made = place.client("secretsmanager").create_secret(
        **params,
        **({"AddReplicaRegions": replicas} if replicas else {}),
        **({"Tags": tag_list(tags)} if tags else {}),
    )
    return Made(made["ARN"], {"arn": made["ARN"]})


@handler("aws:secretsmanager/secretVersion:SecretVersion")
def secret_version(place: Place, inputs: Inputs) -> Made:
    made = place.client("secretsmanager").put_secret_value(
        **inputs.params(secretId="SecretId", secretString="SecretString", versionStages="VersionStages")
    )
    return Made(f"{made['ARN']}|{made['VersionId']}", {"arn": made["ARN"], "versionId": made["VersionId"]})
