from __future__ import annotations

import pytest

from satchel.hosting import destroy
from satchel.hosting.process import HostingError
from unit.hosting.scripted import Scripted

BUSY = {"Key": "b", "VersionId": "2", "Code": "SlowDown", "Message": "Please reduce your request rate."}


def bucket(*errors: list[dict[str, str]]) -> Scripted:
    """An AWS with a bucket of two files, where one delete after the other meets these errors."""
    aws = Scripted()
    aws.says("sts", "get_caller_identity", {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:root"})
    aws.says("s3", "head_bucket", {})
    aws.says("s3", "list_multipart_uploads", {})
    both = [{"Key": "a", "VersionId": "1"}, {"Key": "b", "VersionId": "2"}]
    aws.says("s3", "list_object_versions", {"Versions": both, "IsTruncated": False})
    aws.says("s3", "delete_objects", *({"Errors": some} for some in errors))
    return aws


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destroy.time, "sleep", lambda _: None)


def test_what_s3_was_too_busy_to_delete_is_asked_for_again() -> None:
    aws = bucket([BUSY], [])

    destroy._empty(aws, "bucket")

    assert [[one["Key"] for one in asked["Delete"]["Objects"]] for asked in aws.was_asked("delete_objects")] == [
        ["a", "b"], ["b"],
    ]  # fmt: skip


def test_what_cannot_be_deleted_is_named() -> None:
    with pytest.raises(HostingError, match=r"b could not be deleted\. Access Denied"):
        destroy._empty(bucket([BUSY | {"Code": "AccessDenied", "Message": "Access Denied"}]), "bucket")


def test_one_who_stays_too_busy_ends_it() -> None:
    aws = bucket([BUSY])

    with pytest.raises(HostingError, match="reduce your request rate"):
        destroy._empty(aws, "bucket")

    assert len(aws.was_asked("delete_objects")) == 4


def test_the_user_pool_stays_as_it_is_until_the_stack_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def stays(*_: object) -> None:
        raise HostingError("The stack stays", "So does all.")

    aws = Scripted()
    there = {"StackName": "satchel", "CreationTime": 0, "StackStatus": "CREATE_COMPLETE"}
    aws.says("cloudformation", "describe_stacks", {"Stacks": [there]})
    monkeypatch.setattr(destroy.stack, "take_down", stays)

    with pytest.raises(HostingError, match="The stack stays"):
        destroy._carry_out(aws, "satchel", destroy.Plan((), (), ("eu-central-1_pool",)), print)

    assert not aws.was_asked("update_user_pool")
