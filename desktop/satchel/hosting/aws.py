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
        return self._caller[0]

    @cached_property
    def identity(self) -> str:
        """The ARN of who is asking."""
        return self._caller[1]

    @cached_property
    def _caller(self) -> tuple[str, str]:
        reply = self.client("sts").get_caller_identity()
        return str(reply["Account"]), str(reply["Arn"])

    def regions(self) -> list[str]:
        """The regions that this boto3 knows, of every partition."""
        partitions = self._session.get_available_partitions()
        return [region for one in partitions for region in self._session.get_available_regions("s3", one)]

    def offers(self, service: str) -> bool:
        """Whether this boto3 knows of `service` in the region, or for all regions of its partition."""
        partition = self._session.get_partition_for_region(self.where)
        there = self._session.get_available_regions(service, partition, allow_non_regional=True)
        return self.where in there or any(name.endswith("-global") for name in there)

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


_ENDED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_UNKNOWN = {"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "AuthFailure"}


@contextmanager
def explained() -> Iterator[None]:
    """Turns what AWS and boto3 raise into an error for people."""
    import botocore.exceptions as aws  # noqa: PLC0415 - heavy

    try:
        yield
    except (aws.NoCredentialsError, aws.PartialCredentialsError, aws.CredentialRetrievalError) as error:
        raise HostingError(
            "AWS does not know who you are",
            f"Set up credentials first: `aws configure`, `aws sso login`, or AWS_PROFILE. ({error})",
        ) from error
    except (aws.SSOError, aws.TokenRetrievalError) as error:
        raise HostingError("You are not signed in to AWS any more", f"Run `aws sso login`. ({error})") from error
    except aws.ClientError as error:
        raise _refused(error) from error
    except aws.BotoCoreError as error:
        raise HostingError("AWS cannot be reached", str(error)) from error


def _refused(error: Any) -> HostingError:
    code = error_code(error)
    message = str(error.response.get("Error", {}).get("Message", error))
    if code in _ENDED:
        return HostingError(
            "Your AWS session has ended",
            "Sign in again (`aws sso login`, or new temporary credentials) and run the same command once more: it goes "
            f"on from here. CloudFormation ends what it had begun by itself. ({error.operation_name}: {code})",
        )
    if code in _UNKNOWN:
        return HostingError(
            "AWS does not know this access key",
            f"It was deleted, or is mistyped: see `aws configure list`, or set AWS_PROFILE. ({code}: {message})",
        )
    if code == "SignatureDoesNotMatch":
        return HostingError(
            "AWS does not take this secret key",
            f"See `aws configure list`; a wrong clock of this computer does the same. ({message})",
        )
    return HostingError(f"AWS refused {error.operation_name}", f"{code}: {message}")


def error_code(error: Any) -> str:
    """The `Error.Code` of a botocore ClientError."""
    return str(error.response.get("Error", {}).get("Code", ""))
