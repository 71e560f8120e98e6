"""Every input that fuzzing has kept goes through its target again; atheris is not needed."""

from __future__ import annotations

import pytest

import fuzz


@pytest.mark.parametrize("name", fuzz.names())
def test_every_kept_input_is_answered_as_promised(name):
    target = fuzz.target(name)
    paths = list(fuzz.inputs(target))
    assert paths, f"nothing in {', '.join(map(str, fuzz.folders(target)))}"
    for path in paths:
        try:
            target.one_input(path.read_bytes())
        except Exception as error:
            raise AssertionError(f"{path.name} fails in {name}: {type(error).__name__}: {error}") from error
