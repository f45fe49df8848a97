"""Give ingest another try at the messages that it gave up on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from satchel.hosting import stack
from satchel.hosting.aws import Aws, explained
from satchel.hosting.process import HostingError

_HIDDEN_S = 60
"""For how long a message that was looked at is nobody else's."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message by its id at SQS, and the ids of the uploads that it tells of: none when it is not S3's."""

    message_id: str
    uploads: tuple[str, ...]
    replayed: bool


def replay(name: str, aws: Aws, *, dry_run: bool = False) -> Iterator[DeadLetter]:
    """Put back what lies in the dead-letter queue of the stack `name`, one message after the other.

    A message leaves the dead letters only once it is in the ingest queue: cut off in between, it is in both, which does
    no harm. With `dry_run` all stay where they are. Raises `HostingError` when there is no such deployment.
    """
    stack.check_name(name)
    with explained():
        ingest, dead = _queues(aws, name)
        sqs = aws.client("sqs")
        kept: list[dict[str, Any]] = []
        try:
            # What fails again comes back here: it must not be taken for another one.
            for message in _messages(sqs, dead, _count(sqs, dead)):
                if dry_run:
                    kept.append(message)
                else:
                    sqs.send_message(QueueUrl=ingest, MessageBody=message["Body"], DelaySeconds=0)
                    sqs.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])
                yield DeadLetter(message["MessageId"], _uploads(message["Body"]), not dry_run)
        finally:
            for message in kept:
                sqs.change_message_visibility(
                    QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
                )


def _queues(aws: Aws, name: str) -> tuple[str, str]:
    """The addresses of the ingest queue and of its dead letters."""
    stack.outputs(aws, name)  # says so when there is no such stack
    found = {one.logical_id: one.physical_id for one in stack.resources(aws, name) if one.kind == "AWS::SQS::Queue"}
    try:
        return found["IngestQueue"], found["IngestDeadLetters"]
    except KeyError:
        raise HostingError(
            f"The stack {name} is not complete", f"Finish it with `satchel deploy --stack {name}`."
        ) from None


def _count(sqs: Any, queue: str) -> int:
    names = ["ApproximateNumberOfMessages"]
    return int(sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"][names[0]])


def _messages(sqs: Any, queue: str, count: int) -> Iterator[dict[str, Any]]:
    """Up to `count` messages, fewer when the queue has no more; one empty answer of SQS may be wrong."""
    empty = 0
    while count > 0 and empty < 2:
        reply = sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=min(10, count), VisibilityTimeout=_HIDDEN_S, WaitTimeSeconds=1
        )
        found = reply.get("Messages", [])
        empty = 0 if found else empty + 1
        count -= len(found)
        yield from found


def _uploads(body: str) -> tuple[str, ...]:
    try:
        keys = [unquote_plus(record["s3"]["object"]["key"]) for record in json.loads(body)["Records"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()  # whatever it is, its owner will know it by its id
    return tuple(key.rpartition("/")[2] for key in keys)
