"""What is put right in ministack 1.5.33, inside its own process, before it serves.

Its version is pinned exactly; look at each of these again when the pin moves.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

SAVE_SECONDS = 20.0
_OPEN_PATHS = ("/_ministack/health", "/_ministack/ready")


def apply() -> None:
    """Called once, in the emulator's process."""
    _shut_side_doors()
    _know_one_root_key()
    _mend_nested_updates()
    _keep_changed_tables()
    _sum_quickly()
    _read_conditions_once()
    threading.Thread(target=_save_now_and_then, daemon=True, name="save").start()


def _shut_side_doors() -> None:
    """ministack's own paths (`/_ministack/reset`, say) ask for no key, and any page in a browser may post there.

    Only the health checks stay; and only the names of this machine are answered to.
    """
    from ministack import app  # noqa: PLC0415 - heavy

    serve = app.app

    async def guarded(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").rsplit(":", 1)[0].lower()
            own = scope["path"].startswith(("/_ministack/", "/_localstack/")) and scope["path"] not in _OPEN_PATHS
            if own or host not in ("127.0.0.1", "localhost"):
                if scope["type"] == "websocket":
                    await send({"type": "websocket.close"})  # before it is accepted: a 403
                    return
                await send({"type": "http.response.start", "status": 403, "headers": []})
                await send({"type": "http.response.body", "body": b"Not here.\n"})
                return
        await serve(scope, receive, send)

    app.app = guarded


def _know_one_root_key() -> None:
    """ministack lets `test` and every account's number in as root, whatever the signature; here a random key alone is.

    No key at all stays what it is there: nobody, who may only do what AWS serves unsigned.
    """
    from ministack.core import iam_evaluator  # noqa: PLC0415 - heavy
    from ministack.services import sts  # noqa: PLC0415

    key = os.environ["AWS_ACCESS_KEY_ID"]

    def is_root(access_key_id: str) -> bool:
        return not access_key_id or access_key_id == key

    iam_evaluator.is_root_access_key = sts.is_root_access_key = is_root


def _mend_nested_updates() -> None:
    """When a nested stack is updated, ministack 1.5.33 forgets the attributes of what did not change in it.

    The next `Fn::GetAtt` on one of them fails the update ("Requested attribute Arn does not exist"). Remember them.
    """
    from ministack.services import cloudformation  # noqa: PLC0415 - heavy
    from ministack.services.cloudformation import provisioners  # noqa: PLC0415

    update = provisioners._update_resource

    def mended(  # noqa: PLR0917 - stands in for a function of just this shape
        kind: str, physical: str, old: Any, new: Any, stack: str, logical: str | None = None, known: Any = None
    ) -> Any:
        record = (cloudformation._stacks.get(stack) or {}).get("_resources", {}).get(logical) or {}
        known = known or record.get("Attributes") or {}
        now, attributes = update(kind, physical, old, new, stack, logical, known)
        return now, ({**known, **attributes} if now == physical else attributes)

    provisioners._update_resource = mended


def _keep_changed_tables() -> None:
    """A table of a nested stack that changes gets a new and empty one in its place: ministack makes its name anew, and
    not as it did at first (a bucket's random part got into it then). It is told the name that the table has.
    """
    from ministack.services.cloudformation import provisioners  # noqa: PLC0415 - heavy

    handlers = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    update = handlers["update"]

    def kept(physical: str, old: Any, new: Any, stack: str, logical: str | None = None) -> Any:
        named = {"TableName": physical}
        return update(physical, named | old, named | new, stack, logical)

    handlers["update"] = kept


def _sum_quickly() -> None:
    """ministack sums CRC64NVME and CRC32C a byte at a time in Python: one part stops it for seconds."""
    from awscrt import checksums  # noqa: PLC0415 - heavy
    from ministack.services import s3  # noqa: PLC0415

    s3._crc64nvme, s3._crc32c = checksums.crc64nvme, checksums.crc32c


def _read_conditions_once() -> None:
    """ministack reads a key condition anew, and checks its grammar, for each row of a partition: a change log has many.

    That of `BETWEEN` depends on the values; it stays as it is.
    """
    from ministack.services import dynamodb  # noqa: PLC0415 - heavy

    evaluate, read = dynamodb._evaluate_condition, dict[str, Any]()

    def mended(expression: str, item: Any, values: Any, names: Any, slot: str = "ConditionExpression") -> Any:
        if expression in read and slot == "KeyConditionExpression":
            return dynamodb._ExprEval(read[expression], item, values, names).evaluate()
        answer = evaluate(expression, item, values, names, slot)
        if slot == "KeyConditionExpression" and "BETWEEN" not in expression.upper():
            read[expression] = dynamodb._tokenize(expression)
        return answer

    dynamodb._evaluate_condition = mended


def _save_now_and_then() -> None:
    """ministack saves its state at a clean end only; this keeps the loss small when the machine goes down hard."""
    from ministack import app  # noqa: PLC0415 - its import takes a second

    save_all, one_at_a_time, pause = app.save_all, threading.Lock(), SAVE_SECONDS

    def save(services: dict[str, Any]) -> None:
        with one_at_a_time:
            save_all(services)

    app.save_all = save  # the one at its end waits for ours
    while True:
        time.sleep(pause)
        began = time.monotonic()
        save(app._build_persistence_save_dict())
        # A cloud that holds much takes long to save: never more than a fiftieth of the time.
        pause = max(SAVE_SECONDS, 50 * (time.monotonic() - began))
