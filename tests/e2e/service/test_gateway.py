"""What the gateway turns away by itself, without waking a function."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import jwt
import pytest

from e2e.cloud_fixture import LocalCloud


@pytest.fixture(scope="module")
def alice(cloud: LocalCloud) -> dict[str, str]:
    """The tokens of somebody who may come in."""
    return cloud.tokens(*cloud.new_user())


@pytest.fixture(scope="module")
def stranger(cloud: LocalCloud) -> Iterator[str]:
    """An access token of the same pool, made for another client."""
    cognito = cloud.aws.client("cognito-idp")
    other = cognito.create_user_pool_client(
        UserPoolId=cloud.user_pool_id,
        ClientName="another",
        ExplicitAuthFlows=["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    )["UserPoolClient"]["ClientId"]
    yield cloud.tokens(*cloud.new_user(), client_id=other)["AccessToken"]
    cognito.delete_user_pool_client(UserPoolId=cloud.user_pool_id, ClientId=other)


@pytest.fixture(scope="module")
def expired(cloud: LocalCloud, alice: dict[str, str]) -> str:
    """A token signed with the pool's own key, right in all but its time."""
    token = alice["AccessToken"]
    claims = jwt.decode(token, options={"verify_signature": False})
    key = next(cloud.state.rglob(f"{cloud.user_pool_id}-access.pem")).read_bytes()

    def sign(expires: float) -> str:
        return jwt.encode(
            claims | {"exp": int(expires)}, key, "RS256", {"kid": jwt.get_unverified_header(token)["kid"]}
        )

    assert cloud.request("GET", "/v1/account", token=sign(time.time() + 60)).status != 401
    return sign(time.time() - 60)


def test_who_may_come_in_wakes_the_function(cloud: LocalCloud, alice: dict[str, str]) -> None:
    """So that the other tests, which find nothing in the log, mean something."""
    before = cloud.invocations("api")

    assert cloud.request("GET", "/v1/account", token=alice["AccessToken"]).status == 200

    assert cloud.invocations("api") == before + 1


@pytest.mark.parametrize("path", ["/v1/account", "/v1/uploads", "/v1/nodes/root/children", "/v1/changes?after=0"])
def test_nobody_comes_in_without_a_token(cloud: LocalCloud, path: str) -> None:
    before = cloud.invocations("api")

    assert cloud.request("GET", path).status == 401

    assert cloud.invocations("api") == before


@pytest.mark.parametrize("token", ["garbage", "a.b.c", "", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9."])
def test_garbage_is_no_token(cloud: LocalCloud, token: str) -> None:
    before = cloud.invocations("api")

    assert cloud.request("GET", "/v1/account", token=token).status == 401

    assert cloud.invocations("api") == before


def test_an_id_token_is_no_access_token(cloud: LocalCloud, alice: dict[str, str]) -> None:
    before = cloud.invocations("api")

    # The audience is right and the signature is good: only the scope is missing, which AWS answers with 403.
    assert cloud.request("GET", "/v1/account", token=alice["IdToken"]).status in (401, 403)

    assert cloud.invocations("api") == before


def test_an_expired_token_does_not_pass(cloud: LocalCloud, expired: str) -> None:
    before = cloud.invocations("api")

    assert cloud.request("GET", "/v1/account", token=expired).status == 401

    assert cloud.invocations("api") == before


def test_a_token_for_another_client_does_not_pass(cloud: LocalCloud, stranger: str) -> None:
    before = cloud.invocations("api")

    assert cloud.request("GET", "/v1/account", token=stranger).status == 401

    assert cloud.invocations("api") == before


def test_nobody_walks_around_the_edge(cloud: LocalCloud, alice: dict[str, str]) -> None:
    """The API's own address is no secret; what the edge sends along is."""
    around = replace(cloud, site=f"{cloud.endpoint}/_aws/execute-api/{cloud.outputs['ApiId']}")

    assert around.request("GET", "/v1/account", token=alice["AccessToken"]).status == 403
    assert around.request("GET", "/p/abcdefghijklmnopqrstuv").status == 403
    forged = {"x-satchel-origin": "guessed"}
    assert around.request("GET", "/v1/account", token=alice["AccessToken"], headers=forged).status == 403
