"""Buckets, and who may do what with them."""

from __future__ import annotations

from tests.infra.cloud.inputs import Inputs, tag_list
from tests.infra.cloud.refusals import buckets as refuse
from tests.infra.cloud.refusals.policies import check_policy
from tests.infra.cloud.registry import Made, Place, handler


@handler("aws:s3/bucket:Bucket")
def bucket(place: Place, inputs: Inputs) -> Made:
    s3 = place.client("s3")
    inputs.only("forceDestroy", True, False)
    name = inputs.take("bucket")
    refuse.misnamed(name)
    where = {} if place.region == "us-east-1" else {"LocationConstraint": place.region}
    s3.create_bucket(Bucket=name, **({"CreateBucketConfiguration": where} if where else {}))
    if tags := inputs.tags():
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tag_list(tags)})
    return Made(name, {"arn": f"arn:aws:s3:::{name}", "bucketRegion": place.region})


@handler("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
def public_access_block(place: Place, inputs: Inputs) -> Made:
    name = inputs.take("bucket")
    block = inputs.params(
        blockPublicAcls="BlockPublicAcls",
        blockPublicPolicy="BlockPublicPolicy",
        ignorePublicAcls="IgnorePublicAcls",
        restrictPublicBuckets="RestrictPublicBuckets",
    )
    place.client("s3").put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block)
    return Made(name)


@handler("aws:s3/bucketOwnershipControls:BucketOwnershipControls")
def ownership_controls(place: Place, inputs: Inputs) -> Made:
    name, rule = inputs.take("bucket"), inputs.part("rule")
    assert rule
    rules = [rule.params(objectOwnership="ObjectOwnership")]
    refuse.unknown_owner(rules[0]["ObjectOwnership"])
    place.client("s3").put_bucket_ownership_controls(Bucket=name, OwnershipControls={"Rules": rules})
    return Made(name)


@handler("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
def encryption(place: Place, inputs: Inputs) -> Made:
    name = inputs.take("bucket")
    rules = []
    for part in inputs.parts("rules"):
        by_default = part.part("applyServerSideEncryptionByDefault")
        assert by_default
        rules.append(
            {
                "ApplyServerSideEncryptionByDefault": by_default.params(
                    sseAlgorithm="SSEAlgorithm", kmsMasterKeyId="KMSMasterKeyID"
                )
            }
        )
        refuse.unknown_cipher(rules[-1]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"])
    place.client("s3").put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    return Made(name)


@handler("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
def lifecycle(place: Place, inputs: Inputs) -> Made:
    name = inputs.take("bucket")
    rules = []
    for part in inputs.parts("rules"):
        rule = part.params(id="ID", status="Status")
        if chosen := part.part("filter"):
            rule["Filter"] = {"Prefix": chosen.take("prefix")}
        if expiration := part.part("expiration"):
            rule["Expiration"] = expiration.params(days="Days")
        if unfinished := part.part("abortIncompleteMultipartUpload"):
            rule["AbortIncompleteMultipartUpload"] = unfinished.params(
                daysAfterInitiation="DaysAfterInitiation"
            )
        rules.append(rule)
    refuse.rules_in_wrong_form(rules)
    place.client("s3").put_bucket_lifecycle_configuration(
        Bucket=name, LifecycleConfiguration={"Rules": rules}
    )
    return Made(name)


@handler("aws:s3/bucketPolicy:BucketPolicy")
def bucket_policy(place: Place, inputs: Inputs) -> Made:
    name, policy = inputs.take("bucket"), inputs.take("policy")
    check_policy(policy, principal=True, most=20_480)
    refuse.policy_of_another_bucket(name, policy)
    place.client("s3").put_bucket_policy(Bucket=name, Policy=policy)
    return Made(name)
