"""What an item is called: here, online, and online for a moment, while names are exchanged (a `Detour`). No I/O."""

from __future__ import annotations

import re
import unicodedata

from satchel.core.names import prefixed
from satchel.journal import Item

_TEMPORARY = re.compile(r"\.satchel-([0-9a-f]{32})-(?!\.{1,2}\Z|\.satchel\Z)(.+)", re.DOTALL)


def temporary_name(item: Item) -> str:
    """What it is called online on a `Detour`: nobody else gives a name with the item's id. Its lasting name is a part
    of it, for the way back and for computers that bring it here meanwhile."""
    return prefixed(lasting_name(item), _prefix(item.item_id))


def who_is_on_a_detour(remote_name: str) -> str | None:
    """The item id of whoever gave this name, if it is a temporary one."""
    found = _TEMPORARY.fullmatch(remote_name)
    return found[1] if found is not None else None


def on_detour(item: Item) -> bool:
    """Whether this computer gave it a temporary name online, and another one not yet."""
    return who_is_on_a_detour(item.remote_name) == item.item_id


def on_detour_elsewhere(item: Item) -> bool:
    """Whether another computer did: nobody else follows there."""
    return who_is_on_a_detour(item.remote_name) not in (None, item.item_id)


def lasting_name(item: Item) -> str:
    """Its name online. On a detour it is the one before, unless another computer's leaves it another one here."""
    found = _TEMPORARY.fullmatch(item.remote_name)
    if found is None:
        return item.remote_name
    # A long name is shortened in the temporary one.
    kept = prefixed(item.name, _prefix(found[1])) == item.remote_name
    return item.name if kept or (item.here and found[1] != item.item_id) else found[2]


def is_named_alike(item: Item) -> bool:
    """Whether this disk and the service call it the same, or the service does so in a moment."""
    return on_detour_elsewhere(item) or same_spelling(item.name, item.remote_name)


def same_spelling(one: str, other: str) -> bool:
    """Whether two names differ at most in how their accents are written, which is the disk's own affair."""
    return one == other or unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)


def spellings(name: str) -> set[str]:
    """What a disk may make of a name: some write all accents apart, some together."""
    return {name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)}


def _prefix(item_id: str) -> str:
    return f".satchel-{item_id}-"
