"""The format's number, and how older files become files of this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import ModelFileError
from .fields import Arrays

FORMAT = "dualwalk model"
VERSION = 1
# From a version to the next: changes manifest and arrays in place. A field that is added, renamed or removed needs one, and so
# does a number that means something else; so that every file since version 1 can be read.
UPGRADES: dict[int, Callable[[dict[str, Any], Arrays], None]] = {}


def up_to_date(manifest: dict[str, Any], arrays: Arrays) -> None:
    """Bring a manifest and its arrays, in place, from their version of the format to this one; ModelFileError if none leads here."""
    if manifest.get("format") != FORMAT:
        raise ModelFileError(f"its format must be {FORMAT!r}; got {manifest.get('format')!r:.40}")
    version, maker = manifest.get("format_version"), manifest.get("dualwalk")
    if type(version) is not int or not isinstance(maker, str):
        raise ModelFileError(f"it must name a version of the format and of dualwalk; got {version!r:.40} and {maker!r:.40}")
    if version > VERSION:
        raise ModelFileError(
            f"it was made by dualwalk {maker:.20} in format {version}, and this version reads formats up to {VERSION} "
            "(pip install -U dualwalk)"
        )
    while version < VERSION:
        if version not in UPGRADES:
            raise ModelFileError(f"it is of format {version}, which no version of dualwalk has written")
        UPGRADES[version](manifest, arrays)
        version += 1
        manifest["format_version"] = version
