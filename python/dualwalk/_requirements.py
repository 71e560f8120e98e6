"""What is raised where something is not installed, or was not built, that a call needs."""

from __future__ import annotations


class MissingPackageError(ImportError):
    """A call needs a package that is not installed, or a part of dualwalk that was not built; the text says how to get it."""
