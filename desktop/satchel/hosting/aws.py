"""One way to AWS for everything that deploys: the real one by the ordinary credential chain, or a local cloud."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from satchel.hosting.process import HostingError


@dataclass(frozen=True)
class Aws:
    """`endpoint` and the key are set for a local cloud only; `region` None means the credential chain's own."""

    region: str | None = None
    profile: str | None = None
    endpoint: str | None = None
    key: tuple[str, str] | None = field(default=None, repr=False)

    @property
    def local(self) -> bool:
        return self.endpoint is not None

    @property
    def poll_seconds(self) -> float:
        return 0.1 if self.local else 3.0

    @cached_property
    def where(self) -> str:
        """The region. Raises `HostingError` when none is set."""
        region = self._session.region_name
        if not region:
            raise HostingError("No AWS region is set", "Pass --region, or set AWS_REGION or a region in your profile.")
        return str(region)

    @cached_property
    def account(self) -> str:
        return str(self.client("sts").get_caller_identity()["Account"])

    def client(self, service: str, region: str | None = None) -> Any:
        """A boto3 client. Clients are cheap here; make one where it is used."""
        import botocore.config  # noqa: PLC0415 - heavy

        config = botocore.config.Config(
            retries={"mode": "standard", "max_attempts": 5},
            signature_version="s3v4" if service == "s3" else None,
            proxies={} if self.local else None,
        )
        return self._session.client(
            service, region_name=region or self.where, endpoint_url=self.endpoint, config=config
        )

    @cached_property
    def _session(self) -> Any:
        import boto3  # noqa: PLC0415 - heavy
        import botocore.exceptions  # noqa: PLC0415
        import botocore.session  # noqa: PLC0415

        try:
            if self.key is None:
                return boto3.Session(region_name=self.region, profile_name=self.profile)
            # Nothing of the user's own AWS settings may reach the local cloud, nor stop it by being wrong.
            nothing = {
                "profile": (None, None, None, None),
                "config_file": (None, None, os.devnull, None),
                "credentials_file": (None, None, os.devnull, None),
            }
            return boto3.Session(
                aws_access_key_id=self.key[0],
                aws_secret_access_key=self.key[1],
                region_name=self.region,
                botocore_session=botocore.session.Session(session_vars=nothing),
            )
        except botocore.exceptions.ProfileNotFound as error:
            raise HostingError("There is no such AWS profile", str(error)) from error


@contextmanager
def explained() -> Iterator[None]:
    """Turns what AWS and boto3 raise into an error for people."""
    import botocore.exceptions as aws  # noqa: PLC0415 - heavy

    try:
        yield
    except (aws.NoCredentialsError, aws.PartialCredentialsError, aws.TokenRetrievalError) as error:
        raise HostingError(
            "AWS does not know who you are",
            f"Set up credentials first: `aws configure`, `aws sso login`, or AWS_PROFILE. ({error})",
        ) from error
    except aws.ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        message = error.response.get("Error", {}).get("Message", str(error))
        raise HostingError(f"AWS refused {error.operation_name}", f"{code}: {message}") from error
    except aws.BotoCoreError as error:
        raise HostingError("AWS cannot be reached", str(error)) from error


def error_code(error: Any) -> str:
    """The `Error.Code` of a botocore ClientError."""
    return str(error.response.get("Error", {}).get("Code", ""))
