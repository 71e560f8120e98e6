"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """A binary stream that becomes `path` when the block ends well, and vanishes without a trace when it does not.

    Whoever reads `path` meanwhile finds the old file or the new one, and so it is after a crash: the new one is on the disk before
    it takes the old one's place. A link stays a link: what it leads to is replaced. The new file has the old one's permissions,
    or those that the umask gives. A process that is killed may leave a hidden file `.dualwalk-*.part` behind.
    """
    path = Path(os.path.realpath(path))
    temporary = path.with_name(f".dualwalk-{os.getpid()}-{secrets.token_hex(6)}.part")
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(OSError):  # of another owner, or of a file system without permissions
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        os.replace(temporary, path)
        _sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Put the folder's entry of a renamed file on the disk; only POSIX can, and not on every file system."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
