"""The signed-in side: `ANY /v1/{proxy+}` behind the JWT authorizer.

May: DynamoDB GetItem, BatchGetItem, Query, PutItem, UpdateItem, DeleteItem on the table (not its index); S3 PutObject
(also multipart create, part, complete), GetObject (also head), GetObjectVersion (to copy parts from),
AbortMultipartUpload, ListMultipartUploadParts on `c/*`.
It signs keys below `c/<account>/` only. No ListBucket, no DeleteObject.
"""

from __future__ import annotations

from typing import Any

from satchel_cloud.service.context import context

from . import link_routes, push_routes, tree_routes, upload_routes
from .http import Reply, serve

_ROUTES = (*upload_routes.ROUTES, *tree_routes.ROUTES, *link_routes.ROUTES, *push_routes.ROUTES)


def handler(event: dict[str, Any], _lambda: Any) -> Reply:
    return serve(_ROUTES, event, context().settings.origin_secret, context().measures, signed_in=True)
