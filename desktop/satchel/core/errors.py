"""Errors made for people: what happened, what to do, and the path concerned.

Every error that may reach a person is a `SatchelError`. Its `code` is stable and travels over the control socket and
in `--json` output; its `exit_code` is what the CLI ends with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from .model import Problem

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NOT_SIGNED_IN = 3
EXIT_OFFLINE = 4


class SatchelError(Exception):
    """Base of all errors for people.

    `title` is a few words; `message` says what to do; `path` is the file or folder concerned, if there is one;
    `retry` tells whether the same thing may work later without anybody doing anything; `reference` is the id under
    which the service, or S3, logged the request that failed.
    """

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = EXIT_FAILED
    retry: ClassVar[bool] = False

    def __init__(self, title: str, message: str = "", *, path: str | None = None) -> None:
        super().__init__(title, message)
        self.title = title
        self.message = message
        self.path = path
        self.reference: str | None = None

    @property
    def said(self) -> str:
        """All of it but the path, in one line."""
        reference = f" (Reference: {self.reference})" if self.reference else ""
        return self.title + (f". {self.message}" if self.message else "") + reference

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.title}" + (f". {self.message}" if self.message else "")

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: code, exit_code, title, message and, where there are, path and reference."""
        out: dict[str, Any] = {
            "code": self.code,
            "exit_code": self.exit_code,
            "title": self.title,
            "message": self.message,
        }
        if self.path is not None:
            out["path"] = self.path
        if self.reference is not None:
            out["reference"] = self.reference
        return out


class UsageError(SatchelError):
    """The request itself makes no sense: a bad argument, a bad address, a path that is not there."""

    code = "usage"
    exit_code = EXIT_USAGE


class NotSignedInError(SatchelError):
    """Nobody is signed in, or the session has ended."""

    code = "not-signed-in"
    exit_code = EXIT_NOT_SIGNED_IN


class SignInError(SatchelError):
    """The sign-in was refused: wrong password, unknown account, weak new password."""

    code = "sign-in-refused"
    exit_code = EXIT_NOT_SIGNED_IN


class OfflineError(SatchelError):
    """The service or S3 cannot be reached, or does not answer like itself."""

    code = "offline"
    exit_code = EXIT_OFFLINE
    retry = True


class BusyError(SatchelError):
    """The service pushes back (429, 503, SlowDown); try again later."""

    code = "busy"
    exit_code = EXIT_OFFLINE
    retry = True

    def __init__(
        self, title: str, message: str = "", *, path: str | None = None, retry_after: float | None = None
    ) -> None:
        """`retry_after` is in seconds, where the service has named a time."""
        super().__init__(title, message, path=path)
        self.retry_after = retry_after


class RefusedError(SatchelError):
    """The service answered with a problem document; `kind` is the last part of its type, `current` its node if any. Of
    kind `unknown-request` when it was the gateway that did not know the address."""

    code = "refused"

    def __init__(
        self,
        kind: str,
        title: str,
        message: str = "",
        *,
        status: int = 0,
        path: str | None = None,
        current: Any = None,
        missing_parts: tuple[int, ...] = (),
    ) -> None:
        super().__init__(title, message, path=path)
        self.kind = kind
        self.status = status
        self.current = current
        self.missing_parts = missing_parts

    @classmethod
    def of(cls, problem: Problem, *, path: str | None = None) -> RefusedError:
        """The error for a problem document."""
        error = cls(
            problem.kind,
            problem.title,
            problem.detail,
            status=problem.status,
            path=path,
            current=problem.current,
            missing_parts=problem.missing_parts,
        )
        if problem.instance:
            error.reference = problem.instance.rpartition(":")[2]
        return error

    def to_dict(self) -> dict[str, Any]:
        out = super().to_dict()
        out["kind"] = self.kind
        return out


class LocalFileError(SatchelError):
    """A local file cannot be read or written: gone, no permission, locked, disk full, not a regular file."""

    code = "local-file"


class FileChangedError(LocalFileError):
    """The file changed while it was being sent; it is sent again when it is quiet."""

    code = "file-changed"
    retry = True


class PlaceTakenError(LocalFileError):
    """Something else has the name on this disk; nothing was replaced."""

    code = "place-taken"


class DigestError(SatchelError):
    """Bytes arrived other than they left, again and again."""

    code = "digest"


class CancelledError(SatchelError):
    """Somebody cancelled it."""

    code = "cancelled"


class EngineError(SatchelError):
    """The engine of this home cannot be reached or started."""

    code = "engine"


class JournalError(SatchelError):
    """The journal cannot be opened: another version made it, or the disk refuses."""

    code = "journal"


_BY_CODE: dict[str, type[SatchelError]] = {
    kind.code: kind
    for kind in (
        UsageError,
        NotSignedInError,
        SignInError,
        OfflineError,
        BusyError,
        LocalFileError,
        FileChangedError,
        PlaceTakenError,
        DigestError,
        CancelledError,
        EngineError,
        JournalError,
    )
}


def twin(error: SatchelError) -> SatchelError:
    """A copy of an error that concerns many: each writes its own path into it."""
    copy = type(error).__new__(type(error))
    copy.__dict__.update(error.__dict__)
    copy.args = error.args
    return copy


def from_dict(data: dict[str, Any]) -> SatchelError:
    """The error that `SatchelError.to_dict` described."""
    title, message, path = str(data.get("title", "")), str(data.get("message", "")), data.get("path")
    error: SatchelError
    if data.get("code") == RefusedError.code:
        error = RefusedError(str(data.get("kind", "")), title, message, path=path)
    else:
        error = _BY_CODE.get(str(data.get("code")), SatchelError)(title, message, path=path)
    error.reference = data.get("reference")
    return error
