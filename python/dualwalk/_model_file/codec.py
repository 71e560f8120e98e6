"""Models to files and back."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar, cast, overload

from .. import __version__
from .._atomic import atomic
from .._files import as_path, output_file, printable
from . import container
from .errors import MissingModelFileError, ModelFileError
from .fields import Arrays, OneOf, Source
from .records_divergence import DIVERGENCE, NORMAL_SCORES
from .records_duals import DUALS, LOCAL_COVARIANCE
from .records_sampler import SAMPLER
from .versions import FORMAT, VERSION, up_to_date

MODELS = OneOf(DIVERGENCE, SAMPLER, NORMAL_SCORES, *DUALS.records.values(), LOCAL_COVARIANCE)
_KEYS = {"format", "format_version", "dualwalk", "class", "state"}
_EXTRA = "extra"  # of the manifest, and arrays whose names begin so: for whoever writes them, read by nobody here
Place = str | os.PathLike[str] | IO[bytes]
Model = TypeVar("Model")


def save(model: Any, file: Place) -> None:
    """Write a model to a .npz file, whole or not at all, or into a binary stream."""
    if isinstance(file, io.TextIOBase):
        raise TypeError(f"file must be a path or a binary stream; got a {type(file).__name__} of text (open it with mode 'wb')")
    if hasattr(file, "write"):
        container.write(cast(IO[bytes], file), packed(model))
        return
    path = output_file(as_path(file, "file"), ".npz")
    contents = packed(model)
    with atomic(path) as stream:
        container.write(stream, contents)


def packed(model: Any) -> container.Contents:
    """A model as manifest and arrays, after a look whether they give it back; TypeError where it holds what no file can."""
    record = MODELS.record_of(model)
    if record is None:
        raise TypeError(
            f"the model must be one of {', '.join(MODELS.records)}; got {type(model).__name__}, whose code no file can hold "
            "(save the dualwalk object that is in it)"
        )
    arrays: Arrays = {}
    state = record.pack(model, "state", arrays)
    try:
        record.unpack(state, "state", Source(dict(arrays)))
    except ValueError as error:  # better now, while there is the model, than when the file is read
        raise RuntimeError(
            f"this {record.name} cannot be saved, as it could not be read back: {error} (please report it)"
        ) from error
    manifest = {
        "format": FORMAT,
        "format_version": VERSION,
        "dualwalk": __version__,
        "class": record.name,
        "state": state,
        _EXTRA: {},
    }
    text = json.dumps(manifest, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return container.Contents(text, arrays)


@overload
def load(file: Place, kind: None = None) -> Any: ...
@overload
def load(file: Place, kind: type[Model]) -> Model: ...
def load(file: Place, kind: type | None = None) -> Any:
    """The model that `save` wrote, of the class `kind` if one is named.

    It does what the saved model did, with the same bits on the same machine. Nothing in the file is run: only the classes of
    dualwalk's own list are made, from numbers that were checked first. A file of an older version is brought up to date.

    Raises `ModelFileError`, a ValueError, for a file that cannot be opened (`MissingModelFileError` where there is none), is damaged,
    is no model, was made by a later version, or holds another class. What a file holds takes about as much memory as
    the file is long; then comes what the model itself needs.

    >>> import io, numpy as np
    >>> from dualwalk import NormalScores, load
    >>> X = np.random.default_rng(0).normal(size=(20, 3))
    >>> stream = io.BytesIO()
    >>> NormalScores().fit(X).save(stream)
    >>> bool((load(stream).transform(X) == NormalScores().fit_transform(X)).all())
    True
    """
    if kind is not None and not isinstance(kind, type):
        raise TypeError(f"kind must be a class or None; got {kind!r:.80} (pass dualwalk.DualSampler, not an object of it)")
    with _opened(file) as (stream, name), _told(name):
        return unpacked(container.read(stream), kind)


def unpacked(contents: container.Contents, kind: type | None = None) -> Any:
    """The model of a manifest and its arrays, which are taken out; whatever is wrong with them raises something."""
    manifest = json.loads(contents.manifest, object_pairs_hook=_object, parse_constant=_no_constant)
    if not isinstance(manifest, dict):
        raise ModelFileError("its manifest must be an object")
    up_to_date(manifest, contents.arrays)
    if manifest.keys() - {_EXTRA} != _KEYS:
        raise ModelFileError(f"its manifest must have {', '.join(sorted(_KEYS))}; got {', '.join(sorted(manifest))[:200]}")
    name = manifest["class"]
    if not isinstance(name, str) or name not in MODELS.records:
        raise ModelFileError(f"its class must be one of {', '.join(MODELS.records)}; got {name!r:.40}")
    if kind is not None and not issubclass(MODELS.records[name].kind, kind):
        raise ModelFileError(f"it holds a {name}, no {kind.__name__} (load it with {name}.load, or dualwalk.load)")
    left = {at: array for at, array in contents.arrays.items() if at.split(".")[0] != _EXTRA}
    model = MODELS.records[name].unpack(manifest["state"], "state", Source(left))
    if left:
        raise ModelFileError(f"it holds arrays that no part of the model is made of: {', '.join(sorted(left))[:200]}")
    return model


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ModelFileError("its manifest has a name twice")
    return found


def _no_constant(word: str) -> Any:
    raise ModelFileError(f"its manifest holds {word}, which is no JSON")


@contextmanager
def _opened(file: Place) -> Iterator[tuple[IO[bytes], str]]:
    if isinstance(file, io.TextIOBase):
        raise TypeError(f"file must be a path or a binary stream; got a {type(file).__name__} of text (open it with mode 'rb')")
    if hasattr(file, "read"):
        stream = cast(IO[bytes], file)
        yield stream, str(getattr(stream, "name", "the stream"))
        return
    path = as_path(file, "file")
    if path.is_dir():
        raise ModelFileError(f"{path} is a folder (name a .npz file in it)")
    try:
        opened = path.open("rb")
    except FileNotFoundError:
        raise MissingModelFileError(
            f"file must be there; got {path}, and there is none (look for it from {Path.cwd()})"
        ) from None
    except OSError as error:
        raise ModelFileError(
            f"file must be one that can be read; got {path}: {error.strerror} (look at its permissions)"
        ) from error
    with opened as stream:
        yield stream, str(path)


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Everything that damaged bytes can raise, as one error with the file's name and a remedy."""
    try:
        yield
    except MemoryError:  # not the file's fault: no more was taken than its length allows
        raise
    except Exception as error:  # damaged bytes raise whatever json, zipfile, NumPy or a model's own checks raise
        said = printable(" ".join(str(error).split())) or type(error).__name__
        remedy = "" if said.endswith(")") else " (save the model again, or copy the file again)"
        raise ModelFileError(f"{name} cannot be loaded: {said}{remedy}") from error
