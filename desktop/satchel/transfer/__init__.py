"""Moving bytes; knows nothing of trees."""

from .dial import Dialer
from .download import download, safe_child
from .limits import Limit
from .ports import UploadService, UploadStore
from .scheduler import Uploader
from .upload import Ticket, UploadProgress
from .wire import Wire

__all__ = [
    "Dialer",
    "Limit",
    "Ticket",
    "UploadProgress",
    "UploadService",
    "UploadStore",
    "Uploader",
    "Wire",
    "download",
    "safe_child",
]
