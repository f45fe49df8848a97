from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QItemSelectionModel, QModelIndex, QPersistentModelIndex
from PySide6.QtWidgets import QApplication

from satchel.app.models import ShownTransfers, TransferModel
from unit.app.fake_engine import row


class Told:
    """What a model says while it changes."""

    def __init__(self, model: TransferModel) -> None:
        self.said: list[tuple[Any, ...]] = []
        roles = {number: bytes(name.data()).decode() for number, name in model.roleNames().items()}
        model.rowsInserted.connect(lambda _, a, b: self.said.append(("inserted", a, b)))
        model.rowsRemoved.connect(lambda _, a, b: self.said.append(("removed", a, b)))
        model.rowsMoved.connect(lambda _, a, b, __, to: self.said.append(("moved", a, to)))
        model.modelReset.connect(lambda: self.said.append(("reset",)))
        model.dataChanged.connect(
            lambda a, b, changed: self.said.append(("changed", a.row(), b.row(), {roles[one] for one in changed}))
        )


@pytest.fixture
def model(qapp: QApplication) -> TransferModel:
    made = TransferModel()
    made.update([row("a", "sending"), row("b"), row("c")])
    return made


def names(model: TransferModel | ShownTransfers) -> list[str]:
    role = next(number for number, name in model.roleNames().items() if name.data() == b"transferId")
    return [model.data(model.index(n, 0), role) for n in range(model.rowCount(QModelIndex()))]


def test_the_same_rows_again_change_nothing(model: TransferModel) -> None:
    told = Told(model)
    model.update([row("a", "sending"), row("b"), row("c")])
    assert told.said == []


def test_progress_repaints_one_row_and_only_what_moved(model: TransferModel) -> None:
    told = Told(model)
    model.update([row("a", "sending", sent_bytes=500), row("b"), row("c")])
    assert told.said == [("changed", 0, 0, {"detail", "progress"})]


def test_a_new_row_is_inserted_where_it_belongs(model: TransferModel) -> None:
    told = Told(model)
    model.update([row("a", "sending"), row("new", "waiting"), row("b"), row("c")])
    assert told.said == [("inserted", 1, 1)]


def test_rows_that_are_gone_are_removed_one_by_one(model: TransferModel) -> None:
    told = Told(model)
    model.update([row("b")])
    assert told.said == [("removed", 2, 2), ("removed", 0, 0)]
    assert names(model) == ["b"]


def test_a_row_that_ends_moves_and_keeps_its_selection(model: TransferModel) -> None:
    told = Told(model)
    selection = QItemSelectionModel(model)
    selection.setCurrentIndex(model.index(0, 0), QItemSelectionModel.SelectionFlag.ClearAndSelect)
    kept = QPersistentModelIndex(model.index(0, 0))

    model.update([row("b"), row("c"), row("a", "done")])

    assert names(model) == ["b", "c", "a"]
    assert selection.currentIndex().row() == kept.row() == 2
    assert {what for what, *_ in told.said} == {"moved", "changed"}


def test_active_is_what_is_not_over_or_failed_and_done_is_what_has_arrived(model: TransferModel) -> None:
    shown = ShownTransfers(model)
    states = ("waiting", "hashing", "sending", "finishing", "paused", "failed", "done", "cancelled")
    model.update([row(state, state) for state in states])
    shown.show_only("active")
    assert names(shown) == list(states[:6])
    shown.show_only("done")
    assert names(shown) == ["done"]
    shown.show_only("all")
    assert names(shown) == list(states)


def test_a_row_that_arrives_leaves_active_and_enters_done(model: TransferModel) -> None:
    shown = ShownTransfers(model)
    shown.show_only("done")
    model.update([row("a", "done"), row("b"), row("c")])
    assert names(shown) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("given", "can"),
    [
        (row("x", "sending"), {"canCancel", "canPause", "canCopy"}),
        (row("x", "sending", link_url=None), {"canCancel", "canPause"}),
        (row("x", "paused"), {"canCancel", "canResume", "canCopy"}),
        (row("x", "failed"), {"canRetry", "canCopy"}),
        (row("x", "cancelled"), {"canRetry"}),
        (row("x", "done"), {"canCopy"}),
        (row("x", "done", origin="root", link_url=None), {"canMakeLink"}),
        (row("x", "done", origin="root", link_url=None, direction="down"), set()),
        (row("x", "sending", origin="root", link_url=None), {"canCancel", "canPause"}),
        (row("x", "sending", direction="down", link_url=None), {"canCancel"}),
    ],
)
def test_a_row_offers_what_makes_sense_in_its_state(model: TransferModel, given: dict[str, Any], can: set[str]) -> None:
    model.update([given])
    roles = {name.data().decode(): number for number, name in model.roleNames().items()}
    offered = {name for name, at in roles.items() if name.startswith("can") and model.data(model.index(0), at)}
    assert offered == can
