"""The roles, the words at the head of each handler, and the page that `make iam` wrote say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from satchel.hosting.package import payload

from .test_templates import Loader

_ROOT = payload().templates.parent
FUNCTIONS = ["api", "public", "ingest", "janitor", "socket", "notify"]
_HANDLERS = _ROOT / "backend" / "satchel_cloud" / "handlers"


def granted(function: str) -> set[str]:
    """Every action that a function's role may have, also those behind a condition."""
    file = {"identity": "identity", "socket": "push", "notify": "push"}.get(function, "api")
    template = yaml.load((payload().templates / f"{file}.yaml").read_text(), Loader)
    text = str(template["Resources"][f"{function.capitalize()}Role"])
    return set(re.findall(r"'((?:dynamodb|s3|sqs|logs|kms|xray|execute-api):\w+)'", text)) - {"dynamodb:LeadingKeys"}


@pytest.mark.parametrize("function", [*FUNCTIONS, "identity"])
def test_the_page_names_what_the_role_may(function: str) -> None:
    page = (_ROOT / "docs" / "least-privilege.md").read_text()
    proven = set(re.findall(rf"^\| {function} \| `([\w:-]+)`", page, re.MULTILINE))
    behind_a_condition = {action for action in granted(function) if action.startswith(("kms:", "xray:"))}

    assert proven == granted(function) - behind_a_condition, "run `make iam`"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_head_of_a_handler_names_what_its_role_may(function: str) -> None:
    text = Path(_HANDLERS / f"{function}.py").read_text().split('"""')[1]
    may = re.split(r"\b(?:No|Never)\b", text[text.index("May:") :])[0]
    told = {word for word in re.findall(r"\b[A-Z]\w+", may) if (f"dynamodb:{word}" in ALL or f"s3:{word}" in ALL)}

    assert told == {action.partition(":")[2] for action in granted(function) if action.startswith(("dynamodb:", "s3:"))}


ALL = set().union(*(granted(function) for function in FUNCTIONS))
