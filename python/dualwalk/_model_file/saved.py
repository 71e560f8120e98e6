"""`save` and `load`: the two methods of every class that can be kept in a file."""

from __future__ import annotations

from os import PathLike
from typing import IO, Self


class Saved:
    """A model that can be written to a file, and read back with the same bits."""

    def save(self, file: str | PathLike[str] | IO[bytes]) -> None:
        """Write this model to a .npz file, or into a binary stream; `load` gives it back.

        The file holds numbers and a JSON manifest, nothing that could run. It is written whole or not at all: an old file of that
        name stays until the new one is on the disk. Of a model on a CUDA device, the copy in the host's memory is saved.

        Raises ValueError for a path that does not end in .npz or cannot be written, NotFittedError before `fit`, and TypeError for
        what no file can hold, such as a `dual` of a class of your own; all before anything is written.
        """
        from .codec import save

        save(self, file)

    @classmethod
    def load(cls, file: str | PathLike[str] | IO[bytes]) -> Self:
        """Read a model of this class from a file that `save` wrote; `dualwalk.load` takes any class, and says what can go wrong."""
        from .codec import load

        return load(file, cls)
