"""What a deployment consists of: the Lambda zip, the templates, the site. The same input gives the same bytes."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from satchel.hosting.process import HostingError

_ENTRY_TIME = (1980, 1, 1, 0, 0, 0)
_ENTRY_MODE = 0o100644
_LEFT_OUT = {"__pycache__", ".mypy_cache", ".ruff_cache", ".DS_Store"}
ASSETS = "assets/"
"""What lies in it is sent under a path that names its content."""
_UNSTAMPED = "Unstamped"
_HIDDEN = "****"  # what CloudFormation tells of a parameter with NoEcho


@dataclass(frozen=True)
class Payload:
    """Where the three parts are, and what is sent of them. `stamp` names the functions' versions: see `stamped`."""

    code: Path
    templates: Path
    site: Path
    stamp: str = _UNSTAMPED

    @cached_property
    def zip(self) -> bytes:
        return zip_package(self.code)

    @cached_property
    def template_files(self) -> dict[str, bytes]:
        """File name to content, with the stamp in its places. The pipelines are stacks of their own."""
        mark, stamp = _UNSTAMPED.encode(), self.stamp.encode()
        found = [path for path in sorted(self.templates.glob("*.yaml")) if not path.name.startswith("pipeline-")]
        return {path.name: path.read_bytes().replace(mark, stamp) for path in found}

    @cached_property
    def site_files(self) -> dict[str, bytes]:
        """Path in the site, `/`-separated, to content.

        What lies in `assets/` is sent as `assets/DIGEST/`, and the pages say so: a path names its content for ever.
        """
        found = {path.relative_to(self.site).as_posix(): path.read_bytes() for path in _files(self.site)}
        assets = {path: content for path, content in found.items() if path.startswith(ASSETS)}
        versioned = f"{ASSETS}{digest(assets)[:12]}/"
        pages = {
            path: content.replace(f"/{ASSETS}".encode(), f"/{versioned}".encode())
            if path.endswith(".html")
            else content
            for path, content in found.items()
            if path not in assets
        }
        return pages | {versioned + path.removeprefix(ASSETS): content for path, content in assets.items()}

    @property
    def code_key(self) -> str:
        return f"code/{hashlib.sha256(self.zip).hexdigest()}.zip"

    @property
    def template_prefix(self) -> str:
        return f"templates/{digest(self.template_files)[:32]}"

    @property
    def fingerprint(self) -> str:
        """Changes when anything that a deployment sends changes."""
        return digest({"zip": self.zip} | _under("cfn", self.template_files) | _under("site", self.site_files))


def payload() -> Payload:
    """The parts as they lie in a checkout, or in an installed wheel. Raises `HostingError` when neither is there."""
    here = Path(__file__).resolve().parent
    installed, checkout = here / "payload", here.parents[2]
    candidates = (
        Payload(installed / "satchel_cloud", installed / "cfn", installed / "site"),
        Payload(checkout / "backend" / "satchel_cloud", checkout / "cfn", checkout / "backend" / "site"),
    )
    for found in candidates:
        if (found.code / "__init__.py").is_file() and (found.templates / "satchel.yaml").is_file():
            return found
    raise HostingError("This installation cannot deploy", "It came without the service's code: install it again.")


def stamped(sent: Payload, parameters: Mapping[str, str]) -> Payload:
    """`sent` with a stamp that is another one whenever the code, a template or one of the root's `parameters` is.

    A Lambda version is published once per logical id and never changes, so what gives a function new code or a new
    setting must give its version a new logical id. `parameters` are all that will be in force, defaults included.
    """
    told = {
        f"parameter/{key}": value.encode()
        for key, value in parameters.items()
        if key != "TemplateBase" and value not in ("", _HIDDEN)  # that address follows from the stamp
    }
    plain = replace(sent, stamp=_UNSTAMPED)
    whole = digest({"zip": plain.zip} | _under("cfn", plain.template_files) | told)
    return replace(sent, stamp=whole[:12])


def zip_package(package: Path) -> bytes:
    """A Lambda zip with `package` at its top.

    Order, times and modes are fixed, and nothing is compressed: two versions of zlib would give two zips.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path in _files(package):
            entry = zipfile.ZipInfo(f"{package.name}/{path.relative_to(package).as_posix()}", _ENTRY_TIME)
            entry.create_system = 3  # Unix, also when packed on Windows
            entry.external_attr = _ENTRY_MODE << 16
            archive.writestr(entry, path.read_bytes())
    return out.getvalue()


def digest(files: dict[str, bytes]) -> str:
    """One digest over names and contents."""
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(f"{name}\0{hashlib.sha256(files[name]).hexdigest()}\n".encode())
    return whole.hexdigest()


def _files(root: Path) -> Iterator[Path]:
    found = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc")
    for path in sorted(found, key=lambda path: path.relative_to(root).as_posix()):
        if not _LEFT_OUT.intersection(path.relative_to(root).parts):
            yield path


def _under(prefix: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{prefix}/{name}": content for name, content in files.items()}
