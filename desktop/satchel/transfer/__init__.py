"""Moving bytes; knows nothing of trees."""

from .download import download, safe_child
from .limits import Limit
from .ports import UploadService, UploadStore
from .scheduler import Uploader
from .upload import Ticket, UploadProgress

__all__ = ["Limit", "Ticket", "UploadProgress", "UploadService", "UploadStore", "Uploader", "download", "safe_child"]
