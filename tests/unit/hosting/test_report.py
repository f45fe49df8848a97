from __future__ import annotations

import sys

import pytest

from satchel.cli.output import Output
from satchel.hosting.package import payload
from satchel.hosting.report import Line, Progress, resources_of

ROOT = b"Resources:\n  One:\n    Type: AWS::CloudFormation::Stack\n    TemplateURL: !Sub '${TemplateBase}/one.yaml'\n"
ONE = b"""
Conditions:
  Wanted: !Equals [a, b]
Resources:
  Always:
    Type: AWS::S3::Bucket

  # Only where it is wanted.
  Sometimes:
    Type: AWS::SQS::Queue
    Condition: Wanted
  Too:
    Type: AWS::SQS::Queue
Outputs:
  Not:
    Value: 1
"""


def test_only_what_is_always_made_is_counted_and_only_in_nested_templates() -> None:
    assert resources_of({"satchel.yaml": ROOT, "one.yaml": ONE, "pipeline.yaml": ONE}, "satchel.yaml") == 2


def test_our_own_templates_can_be_counted() -> None:
    assert resources_of(payload().template_files, "satchel.yaml") > 30


def test_without_a_terminal_every_step_is_a_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Output(json=False).steps() as steps:
        steps.say("creating the stack")
        steps.say(Line("create complete: Table (AWS::DynamoDB::Table)", Progress(1, 2)))

    said = capsys.readouterr()
    assert (said.out, said.err.splitlines()) == (
        "", ["creating the stack", "create complete: Table (AWS::DynamoDB::Table)"],
    )  # fmt: skip


def test_as_json_a_step_tells_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with Output(json=True).steps() as steps:
        steps.say(Line("create complete: Table", Progress(1, 2)))

    assert capsys.readouterr().out == '{"step": "create complete: Table", "progress": {"done": 1, "total": 2}}\n'


def test_on_a_terminal_failures_stay_and_progress_is_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    with Output(json=False).steps() as steps:
        steps.say("creating the stack")
        steps.say(Line("create complete: Table [x]", Progress(3, 7)))
        steps.say(Line("create failed: Queue", Progress(3, 7)))

    said = capsys.readouterr().err
    assert "3 of 7" in said
    assert "create failed: Queue" in said
    assert "creating the stack" in said
