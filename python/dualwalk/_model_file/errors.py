"""What is raised where a model file cannot be believed."""

from __future__ import annotations


class ModelFileError(ValueError):
    """A model file is damaged, was not made by dualwalk, or was made by a newer one; nothing was made of it."""


class MissingModelFileError(ModelFileError, FileNotFoundError):
    """There is no file of that name."""


class Misfit(ValueError):
    """A value in a file is not what its place wants; `codec` turns it into a ModelFileError that names the file."""

    @classmethod
    def at(cls, place: str, wanted: str, got: object) -> Misfit:
        shown = got if isinstance(got, str) else repr(got)
        return cls(f"{place} must be {wanted}; got {shown if len(shown) <= 80 else shown[:77] + '...'}")
