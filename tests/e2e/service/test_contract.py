"""The deployed API against its contract: whatever is sent, the answer is one that `openapi.yaml` foresees.

Schemathesis makes the requests, right ones and wrong ones; half of them speak of things that are there.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from e2e.cloud_fixture import LocalCloud

EXAMPLES = int(os.environ.get("SATCHEL_CONTRACT_EXAMPLES", "25"))
CONTRACT = yaml.safe_load((Path(__file__).parents[3] / "backend" / "openapi.yaml").read_text())
SCHEMA = schemathesis.openapi.from_dict(CONTRACT)
OPERATIONS = {op.ok().definition.raw["operationId"]: op.ok() for op in SCHEMA.get_all_operations()}
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@dataclass
class Account:
    """Somebody signed in, and ids that lead somewhere, by the name that the contract gives them."""

    site: str
    line: requests.Session = field(default_factory=requests.Session)
    there: dict[str, list[str]] = field(default_factory=dict)

    def make(self, cloud: LocalCloud) -> None:
        self.line.trust_env = False
        self.line.headers["Authorization"] = f"Bearer {cloud.tokens(*cloud.new_user())['AccessToken']}"
        folder, file, put, multipart = (secrets.token_hex(16) for _ in range(4))
        tokens = [secrets.token_hex(16) for _ in range(2)]
        trip = {"node_id": folder, "parent_id": "root", "name": "Trip", "link": {"token": tokens[0]}}
        self._post("/v1/folders", {"folders": [trip]})
        intent = {"parent_id": folder, "modified_ms": 5, "link": {"token": tokens[1]}}
        empty = hashlib.sha256(b"").hexdigest()
        small = intent | {"upload_id": put, "node_id": file, "name": "a.txt", "size": 0, "sha256": empty}
        large = {"upload_id": multipart, "node_id": multipart, "name": "b", "size": 1 << 25}
        opened = self._post("/v1/uploads", {"intents": [small, intent | large | {"link": {"token": "t" * 22 + put}}]})
        sent = opened["uploads"][0]["put"]
        requests.put(f"{sent['url']}?{opened['signing_query']}&{sent['query']}", headers=sent["headers"], timeout=30)
        self._post("/v1/uploads/complete", {"uploads": [{"upload_id": put}]})
        link_ids = [hashlib.sha256(token.encode()).hexdigest()[:32] for token in tokens]
        self.there = {
            "node_id": ["root", folder, file],
            "upload_id": [put, multipart],
            "link_id": link_ids,
            "token": tokens,
            "folder": [folder, file],
            "node": [folder, file],
            "path": ["/", "/Trip", "/trip/A.TXT", "/Trip/a.txt/b"],
        }

    def _post(self, path: str, body: Any) -> Any:
        reply = self.line.post(self.site + path, json=body, timeout=30)
        reply.raise_for_status()
        return reply.json()


@pytest.fixture(scope="module")
def account(cloud: LocalCloud) -> Account:
    made = Account(cloud.site)
    made.make(cloud)
    return made


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_every_answer_is_foreseen(account: Account, operation_id: str) -> None:
    operation = OPERATIONS[operation_id]
    right, wrong = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(right, wrong), known=st.lists(st.integers(0, 3), min_size=3, max_size=3))
    def holds(case: Any, known: list[int]) -> None:
        for place in (case.path_parameters, case.query):
            for name, choice in zip(list(place or {}), known, strict=False):
                options = account.there.get(name, [])
                if choice < len(options):
                    place[name] = options[choice]
        reply = case.call(base_url=account.site, session=account.line, timeout=30, allow_redirects=False)
        if not reply.content.startswith(b'{"message"'):  # which is the gateway's own word
            case.validate_response(reply, checks=CHECKS)
        assert len(reply.content) < 128 * 1024

    holds()
