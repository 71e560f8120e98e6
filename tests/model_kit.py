"""For tests of model files: are two models, or any parts of them, the same to the bit? And a part packed and unpacked."""

from __future__ import annotations

import numpy as np

from dualwalk._model_file import fields

LAZY = {"_marginals", "_noise", "_found", "_known", "_kept"}  # filled at a first use


def same(a, b, at="", done=None):
    """Equal to the bit, down to the last attribute; what is computed when it is asked for may be there or not."""
    done = set() if done is None else done
    if id(a) in done:
        return
    done.add(id(a))
    assert type(a) is type(b), (at, type(a), type(b))
    if isinstance(a, np.ndarray) and a.dtype.hasobject:
        assert a.tolist() == b.tolist(), at
    elif isinstance(a, np.ndarray):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()), at
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), at
        for k, pair in enumerate(zip(a, b, strict=True)):
            same(*pair, f"{at}[{k}]", done)
    elif isinstance(a, dict):
        assert list(a) == list(b), at
        for key in a:
            same(a[key], b[key], f"{at}[{key!r}]", done)
    elif isinstance(a, float):
        assert repr(a) == repr(b), at
    elif type(a).__module__.startswith("dualwalk"):
        names = {*vars(a), *vars(b)}
        caches = {name for name in names if hasattr(getattr(type(a), name, None), "attrname")}  # of functools.cached_property
        for name in sorted(names - caches - LAZY):
            same(*(vars(one).get(name, getattr(type(one), name, "missing")) for one in (a, b)), f"{at}.{name}", done)
    elif isinstance(a, np.random.Generator):
        assert repr(a.bit_generator.state) == repr(b.bit_generator.state), at
    elif isinstance(a, np.random.RandomState):
        assert repr(a.get_state()) == repr(b.get_state()), at
    else:
        assert a == b, at


def through(field, value):
    """A value packed and unpacked again, all that was packed having been used."""
    arrays = {}
    packed = field.pack(value, "state", arrays)
    source = fields.Source(arrays)
    again = field.unpack(packed, "state", source)
    assert not arrays
    return again
