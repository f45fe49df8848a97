from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from satchel.cli import main
from satchel.hosting import cost
from satchel.hosting.cost import Use, estimate
from satchel.hosting.prices import OPTIONS, PRICES

CHECKOUT = Path(__file__).parents[3]
SOME = Use(users=20, uploads=1000, downloads=5000, stored_gb=200)


def test_a_deployment_that_nobody_uses_costs_nothing() -> None:
    found = estimate(Use())

    listed, due = found.idle_usd
    assert due < 0.01
    assert listed > due  # what AWS gives for nothing is named, not hidden
    assert found.month == found.idle


def test_bytes_that_lie_there_are_what_an_unused_deployment_with_content_costs() -> None:
    found = estimate(Use(stored_gb=1000))

    assert found.month_usd[1] == pytest.approx(1000 * 0.023, rel=0.01)


def test_uploads_and_downloads_are_priced_by_the_operations_they_take() -> None:
    one, two = (estimate(Use(uploads=n * 10**6, file_mb=0.01)) for n in (1, 2))

    writes = {item.what: item.quantity for item in one.month}["table, written"]
    table = cost.operations()
    taken = [table[name]["dynamodb_write_units"] for name in ("openUploads with a link", "completeUploads")]
    assert writes == 10**6 * sum(taken)
    assert two.month_usd[0] - two.idle_usd[0] == pytest.approx(2 * (one.month_usd[0] - one.idle_usd[0]))


def test_hearing_of_changes_costs_about_a_cent_for_a_computer_that_is_never_off() -> None:
    month = {item.what: item for item in estimate(Use(users=1, uploads=50)).month}

    assert month["connections that hear of changes"].quantity == 730 * 60
    assert month["connections that hear of changes"].usd == pytest.approx(0.011, abs=0.001)
    assert month["messages over them"].quantity == 50


def test_large_files_are_sent_in_parts() -> None:
    requests = [{item.what: item.quantity for item in estimate(Use(uploads=1, file_mb=size)).month} for size in (1, 80)]

    table = cost.operations()
    ends = sum(table[name]["s3_put"] for name in ("openUploads in parts", "uploadParts", "completeUploads in parts"))
    assert [found["S3 requests that write or list"] for found in requests] == [1, 10 + ends]


@pytest.mark.parametrize(
    ("parameter", "value", "dollars"),
    [
        ("WebAclArn", "arn", 5),
        ("KmsKeyArn", "arn", 1),
        ("Alarms", "false", 0),
        ("JanitorSchedule", "rate(5 minutes)", 0),
    ],
)
def test_a_parameter_adds_to_the_idle_cost_what_is_said_of_it(parameter: str, value: str, dollars: float) -> None:
    assert estimate(Use(), {parameter: value}).idle_usd[1] == pytest.approx(dollars, abs=0.03)


def test_parameters_change_what_use_costs() -> None:
    plain = estimate(SOME).month_usd[0]

    for parameter, value in (("ThreatProtection", "AUDIT"), ("Tracing", "Active"), ("WebAclArn", "arn")):
        assert estimate(SOME, {parameter: value}).month_usd[0] > plain


def test_every_price_names_where_it_can_be_looked_up() -> None:
    assert all(re.match(r"https://aws\.amazon\.com/.+/pricing/", price.source) for price in PRICES.values())


def test_the_options_are_parameters_of_the_template() -> None:
    template = (CHECKOUT / "cfn" / "satchel.yaml").read_text()

    assert {name for name in OPTIONS if f"\n  {name}:\n    Description:" not in template} == set()


def test_the_functions_have_the_memory_that_is_priced() -> None:
    sizes = re.findall(r"MemorySize: (\d+)", (CHECKOUT / "cfn" / "api.yaml").read_text())

    assert {int(size) / 1024 for size in sizes} == {cost.FUNCTION_GB}


def test_it_is_printed_without_asking_aws(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", "--print-cost", "--users", "20", "--stored-gb", "0.5"]) == 0
    said = capsys.readouterr().out
    assert "list prices of 20" in said
    assert "With 20 people" in said

    assert main(["deploy", "--print-cost", "--uploads", "5", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["idle_usd"]["due"] < 0.01 < document["idle_usd"]["list"]
    assert document["use"]["uploads"] == 5
