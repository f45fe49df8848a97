from __future__ import annotations

from typing import Any

import pytest

from satchel.hosting import users
from satchel.hosting.process import HostingError
from satchel.hosting.users import Directory
from unit.hosting.scripted import Scripted

NOW = 1_700_000_000


def directory(aws: Scripted) -> Directory:
    return Directory(aws, "eu-central-1_pool", "the-table", "https://files.example.com")


def test_who_signs_in_elsewhere_is_found_by_the_address_and_disabled_by_the_name() -> None:
    aws = Scripted()
    aws.says("cognito-idp", "admin_get_user", "UserNotFoundException")
    aws.says("cognito-idp", "list_users", {"Users": [user("corp_alice")]})
    aws.says("cognito-idp", "admin_disable_user", {})
    aws.says("cognito-idp", "admin_user_global_sign_out", {})
    aws.says("dynamodb", "update_item", {})
    aws.says("dynamodb", "batch_get_item", {"Responses": {"the-table": []}, "UnprocessedKeys": {}})

    users.disable(directory(aws), "alice@example.com")

    assert aws.was_asked("list_users")[0]["Filter"] == 'email = "alice@example.com"'
    assert [one["Username"] for one in aws.was_asked("admin_disable_user")] == ["corp_alice"]
    assert [one["Key"]["PK"] for one in aws.was_asked("update_item")] == [{"S": "A#one-sub"}]


def test_an_invitation_is_mailed_by_cognito() -> None:
    aws = Scripted()
    aws.says("cognito-idp", "admin_create_user", {"User": user("alice")})

    added = users.add(directory(aws), "alice@example.com")

    [asked] = aws.was_asked("admin_create_user")
    assert asked["DesiredDeliveryMediums"] == ["EMAIL"]
    assert "MessageAction" not in asked
    assert (added.invited_by_mail, added.temporary_password) == (True, None)


@pytest.mark.parametrize("code", ["CodeDeliveryFailureException", "LimitExceededException"])
def test_when_no_mail_can_go_the_way_without_it_is_named(code: str) -> None:
    aws = Scripted()
    aws.says("cognito-idp", "admin_create_user", code)

    with pytest.raises(HostingError, match=r"could not be mailed.*--no-mail"):
        users.add(directory(aws), "alice@example.com")


def test_rows_that_were_not_answered_are_asked_for_again() -> None:
    aws = Scripted()
    left = {"the-table": {"Keys": [users._head_key("two")]}}
    first = {"Responses": {"the-table": [{"PK": {"S": "A#one"}}]}, "UnprocessedKeys": left}
    aws.says("dynamodb", "batch_get_item", first, {"Responses": {"the-table": [{"PK": {"S": "A#two"}}]}})

    assert users._heads(directory(aws), ["one", "two"]).keys() == {"one", "two"}
    assert aws.was_asked("batch_get_item")[1]["RequestItems"] == left


def user(name: str) -> dict[str, Any]:
    attributes = [{"Name": "sub", "Value": "one-sub"}, {"Name": "email", "Value": "alice@example.com"}]
    return {
        "Username": name, "Attributes": attributes, "Enabled": True, "UserStatus": "EXTERNAL_PROVIDER",
        "UserCreateDate": NOW, "UserLastModifiedDate": NOW,
    }  # fmt: skip
