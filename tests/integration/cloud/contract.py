"""What `backend/openapi.yaml` says: its operations, whether a request holds to it, and examples of its answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import yaml
from jsonschema import Draft202012Validator

CONTRACT = yaml.safe_load((Path(__file__).parents[3] / "backend" / "openapi.yaml").read_text())


@dataclass(frozen=True)
class Operation:
    id: str
    method: str
    path: str
    parameters: dict[tuple[str, str], Any]
    """By where it is (`path`, `query`) and its name."""
    body: Any
    """The schema of the JSON that it takes; None when it takes none."""
    public: bool
    responses: dict[int, Any]

    @property
    def documented(self) -> set[tuple[str, ...]]:
        """Every parameter, and every field of the body: where it is, and its name."""
        examples = [example(self.body, number) for number in (1, 2)] if self.body else []
        return {*self.parameters, *_fields(examples)}

    def hold(self, method: str, url: str, headers: dict[str, str], body: Any) -> set[tuple[str, ...]]:
        """Fail unless the document allows this request; which of `documented` it used."""
        parts, headers = urlsplit(url), {name.lower(): value for name, value in headers.items()}
        found = re.fullmatch(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", self.path), parts.path)
        assert found, f"{parts.path} is not {self.path}"
        assert method == self.method
        assert headers.get("authorization", "").startswith("Bearer ") != self.public
        assert headers.get("content-type") == (None if self.body is None else "application/json")
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True) if parts.query else []
        given = {("path", name): unquote(value) for name, value in found.groupdict().items()}
        given |= {("query", name): value for name, value in query}
        assert len(query) == len(dict(query)), "a parameter is given twice"
        for place, text in given.items():
            schema = resolved(self.parameters[place]["schema"])
            check(schema, int(text) if schema["type"] == "integer" else text)
        assert {place for place, one in self.parameters.items() if one.get("required")} <= set(given)
        if self.body is None:
            assert body is None
        else:
            check(self.body, body)
        return {*given, *_fields(body)}


def resolved(found: Any) -> Any:
    """What a `$ref` leads to, or the thing itself."""
    while "$ref" in found:
        here = CONTRACT
        for name in found["$ref"].removeprefix("#/").split("/"):
            here = here[name]
        found = here
    return found


def check(schema: Any, value: Any) -> None:
    Draft202012Validator({**schema, "components": CONTRACT["components"]}).validate(value)


def example(schema: Any, number: int) -> Any:
    """A value of `schema`: with number 0 the smallest one, from 1 on all fields, and another choice with each number.

    It is checked against the schema before it is handed out.
    """
    made = _made(schema, number)
    check(schema, made)
    return made


def _made(schema: Any, number: int) -> Any:
    schema = resolved(schema)
    if "allOf" in schema:
        parts = [_made(part, number) for part in schema["allOf"]]
        return {name: value for part in parts for name, value in part.items()}
    if "enum" in schema:
        return schema["enum"][number % len(schema["enum"])]
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return _KINDS[kinds[number % len(kinds)]](schema, number)


def _object(schema: Any, number: int) -> Any:
    required, fields = schema.get("required", []), schema.get("properties", {})
    if "oneOf" in schema:  # alternatives are told apart by what they require
        ways = [way["required"] for way in schema["oneOf"]]
        chosen = ways.pop(number % len(ways))
        required = [*required, *chosen]
        fields = {name: one for name, one in fields.items() if not any(name in way for way in ways)}
    made = {name: _made(one, number) for name, one in fields.items() if number or name in required}
    if number and isinstance(schema.get("additionalProperties"), dict):
        made["any-name"] = _made(schema["additionalProperties"], number)
    return made


_KINDS: dict[str, Callable[[Any, int], Any]] = {
    "object": _object,
    "array": lambda schema, number: [_made(schema["items"], number)] * (2 if number else schema.get("minItems", 0)),
    "string": lambda schema, _: next(text for text in _TEXTS if re.search(schema.get("pattern", ""), text)),
    "integer": lambda schema, number: schema.get("minimum", 0) + number,
    "boolean": lambda _, number: number % 2 == 1,
    "null": lambda _schema, _number: None,
}

_TEXTS = ["Été 1", "0" * 32, "0" * 64, "A" * 11 + "="]


def _fields(value: Any, *at: str) -> Iterator[tuple[str, ...]]:
    """The names of a body's fields, each after the names of those that it is in."""
    for one in value if isinstance(value, list) else [value]:
        for name, inner in one.items() if isinstance(one, dict) else ():
            yield ("body", *at, name)
            yield from _fields(inner, *at, name)


def _operations() -> dict[str, Operation]:
    found = {}
    for path, methods in CONTRACT["paths"].items():
        shared = methods.get("parameters", [])
        for method, one in methods.items():
            if method == "parameters":
                continue
            parameters = [resolved(parameter) for parameter in shared + one.get("parameters", [])]
            found[one["operationId"]] = Operation(
                one["operationId"],
                method.upper(),
                path,
                {(parameter["in"], parameter["name"]): parameter for parameter in parameters},
                resolved(one["requestBody"])["content"]["application/json"]["schema"] if "requestBody" in one else None,
                one.get("security") == [],
                {int(status): resolved(response) for status, response in one["responses"].items()},
            )
    return found


OPERATIONS = _operations()
KINDS = CONTRACT["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]
