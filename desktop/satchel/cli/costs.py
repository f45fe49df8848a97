"""`satchel deploy --print-cost`: what a month costs, line by line."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from satchel.hosting import cost
from satchel.hosting.cost import Item, Use

from .output import Output


def explain(options: argparse.Namespace, out: Output) -> None:
    """Nothing is asked of AWS: it needs no credentials."""
    asked = {name: getattr(options, name) for name in ("users", "uploads", "downloads", "stored_gb", "file_mb")}
    use = Use(**{name: value for name, value in asked.items() if value is not None})
    found = cost.estimate(use, dict(options.parameter))
    totals = {"idle_usd": _both(found.idle_usd), "month_usd": _both(found.month_usd)}
    out.document(asdict(found) | totals)
    out.line(f"A month in US dollars. LIST: by AWS's list prices of {found.prices_as_of} in {found.region}.")
    out.line("DUE: when nothing else in the account uses up what AWS gives every account for nothing each month.")
    out.line(f"What an operation takes is counted by tests; its time in Lambda, {cost.ASSUMED_MS} ms, is assumed.")
    out.line("")
    _table(out, "While nobody uses it", found.idle, found.idle_usd)
    if use == Use():
        out.line("For a month's use add --users, --uploads, --downloads, --stored-gb, --file-mb.")
    else:
        words = f"{use.users} people, {use.uploads} uploads and {use.downloads} downloads of {use.file_mb:g} MB each"
        _table(out, f"With {words}, {use.stored_gb:g} GB kept", found.month, found.month_usd)
    out.line("")
    out.line("What you may choose with --parameter, and what that adds:")
    for name, words in found.options.items():
        out.line(f"  {name:<20} {words}")
    out.line("")
    out.line(f"Prices: {', '.join(sorted({item.source for item in found.month}))}")


def _table(out: Output, title: str, items: list[Item], totals: tuple[float, float]) -> None:
    out.line(title)
    out.line(f"  {'':<70} {'LIST':>6} {'DUE':>9}")
    for item in items:
        quantity = f"{item.quantity:,.2f}".rstrip("0").rstrip(".")
        units = item.unit if item.quantity == 1 or item.unit == "GB" else _plural(item.unit)
        out.line(f"  {item.what:<44} {quantity:>12} {units:<10} {item.usd:>8.2f} {item.usd_due:>9.2f}")
    out.line(f"  {'':<68} {totals[0]:>8.2f} {totals[1]:>9.2f}")
    out.line("")


def _plural(unit: str) -> str:
    return "people" if unit == "person" else f"{unit}s"


def _both(totals: tuple[float, float]) -> dict[str, float]:
    return {"list": round(totals[0], 4), "due": round(totals[1], 4)}
