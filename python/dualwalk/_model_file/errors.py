"""What is raised where a model file cannot be believed."""

from __future__ import annotations


class ModelFileError(ValueError):
    """A model file is damaged, was not made by dualwalk, or was made by a newer one; nothing was made of it."""


class Misfit(ValueError):
    """A value in a file is not what its place wants; `codec` turns it into a ModelFileError that names the file."""

    def __init__(self, at: str, wanted: str, got: object) -> None:
        shown = got if isinstance(got, str) else repr(got)
        super().__init__(f"{at} must be {wanted}; got {shown if len(shown) <= 80 else shown[:77] + '...'}")
