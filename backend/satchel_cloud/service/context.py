"""What the service works with, put together once per container and handed to every function."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from botocore.config import Config
from botocore.session import get_session

from satchel_cloud.adapters import clock
from satchel_cloud.adapters.objects import Objects
from satchel_cloud.adapters.settings import Settings
from satchel_cloud.adapters.signing import Signer
from satchel_cloud.adapters.sockets import STAGE, Sockets
from satchel_cloud.adapters.table import Table


@dataclass(frozen=True, slots=True)
class Context:
    settings: Settings
    table: Table
    objects: Objects
    signer: Signer
    sockets: Sockets
    now_ms: Callable[[], int] = clock.now_ms
    new_id: Callable[[], str] = clock.new_id
    new_secret: Callable[[], str] = clock.new_secret
    pause: Callable[[int], None] = clock.pause
    measures: Counter[str] = field(default_factory=Counter)
    """What this invocation did, by metric; its handler tells it and clears it."""


@cache
def context() -> Context:
    settings = Settings.read()
    session = get_session()  # boto3 adds nothing here but another tenth of a second to every cold start
    quick = Config(connect_timeout=3, read_timeout=8, retries={"mode": "standard", "total_max_attempts": 3})
    # Putting a huge upload together may take minutes: better to say "pending" than to be cut off by the gateway.
    slow = Config(connect_timeout=3, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 1})
    region = session.get_config_variable("region")
    if settings.s3_endpoint:
        base = f"{settings.s3_endpoint.rstrip('/')}/{settings.bucket}"
    else:
        base = f"https://{settings.bucket}.s3.{region}.amazonaws.com"
    if settings.endpoint:
        push = f"{settings.endpoint.rstrip('/')}/_aws/execute-api/{settings.push_api}/{STAGE}"
    else:
        push = f"https://{settings.push_api}.execute-api.{region}.amazonaws.com/{STAGE}"
    # A hint is not worth waiting for.
    brief = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 1})
    credentials = session.get_credentials()
    return Context(
        settings,
        Table(session.create_client("dynamodb", config=quick), settings.table),
        Objects(lambda: session.create_client("s3", config=slow), settings.bucket),
        Signer(credentials.get_frozen_credentials, region, base, settings.url_seconds, bucket=settings.bucket),
        Sockets(lambda url: session.create_client("apigatewaymanagementapi", config=brief, endpoint_url=url), push),
    )
