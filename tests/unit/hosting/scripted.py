from __future__ import annotations

from typing import Any

import boto3
from botocore import xform_name
from botocore.validate import validate_parameters

from satchel.hosting.aws import Aws


class Scripted(Aws):
    """An AWS that answers what the test has written down, and nothing else. Questions and answers are held to shape."""

    def __init__(self, region: str = "eu-central-1") -> None:
        super().__init__(region, key=("key", "secret"))
        self.__dict__["script"] = {}
        self.__dict__["asked"] = []

    def says(self, service: str, call: str, *replies: dict[str, Any] | str) -> None:
        """One reply after the other, the last one from then on. A text is the code of an error."""
        self.__dict__["script"][service, call] = list(replies)

    def was_asked(self, call: str) -> list[dict[str, Any]]:
        """The arguments of each such call."""
        return [arguments for name, arguments in self.__dict__["asked"] if name == call]

    def client(self, service: str, region: str | None = None) -> Any:
        client = boto3.client(
            service, region_name=region or self.where, aws_access_key_id="a", aws_secret_access_key="b"
        )

        def answer(operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
            shapes, call = client.meta.service_model.operation_model(operation), xform_name(operation)
            if shapes.input_shape is not None:
                validate_parameters(arguments, shapes.input_shape)
            self.__dict__["asked"].append((call, arguments))
            replies = self.__dict__["script"][service, call]
            reply: dict[str, Any] | str = replies.pop(0) if len(replies) > 1 else replies[0]
            if isinstance(reply, str):
                raise client.exceptions.from_code(reply)({"Error": {"Code": reply, "Message": "so it is"}}, operation)
            if shapes.output_shape is not None:
                validate_parameters(reply, shapes.output_shape)
            return reply

        client._make_api_call = answer
        return client
