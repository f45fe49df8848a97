from __future__ import annotations

import pytest
from e2e.cloud_fixture import LocalCloud

from satchel.hosting import deploy, local
from satchel.hosting.process import HostingError


def test_the_site_carries_the_pages(cloud: LocalCloud) -> None:
    front, share = cloud.request("GET", "/"), cloud.request("GET", "/s/abcdefghijklmnopqrstuv")

    assert front.status == share.status == 200
    assert front.header("content-type") == "text/html; charset=utf-8"
    assert front.body == share.body
    assert front.header("referrer-policy") == "no-referrer"
    assert "default-src 'none'" in (front.header("content-security-policy") or "")


def test_the_site_says_where_everything_is(cloud: LocalCloud) -> None:
    found = cloud.request("GET", "/.well-known/satchel.json").json()

    assert found["satchel"] == 1
    assert found["site"] == cloud.site
    assert found["user_pool_id"] == cloud.user_pool_id
    assert found["client_id"] == cloud.client_id
    assert found["identity_endpoint"] == cloud.endpoint


def test_a_page_that_is_not_there_is_a_404(cloud: LocalCloud) -> None:
    assert cloud.request("GET", "/nothing/here.js").status == 404


def test_a_name_that_is_not_the_sites_is_sent_away(cloud: LocalCloud) -> None:
    assert cloud.request("GET", "/", headers={"Host": "rebound.example.com"}).status == 421


def test_deploying_again_changes_nothing(cloud: LocalCloud) -> None:
    lines: list[str] = []

    again = deploy.deploy(local.STACK, aws=cloud.aws, site=cloud.site, report=lines.append)

    assert not again.changed
    assert again.outputs == cloud.outputs


@pytest.mark.parametrize("name", ["", "9lives", "with space", "x" * 41])
def test_a_stack_name_that_cannot_be_is_refused(cloud: LocalCloud, name: str) -> None:
    with pytest.raises(HostingError, match="cannot be called"):
        deploy.deploy(name, aws=cloud.aws)
