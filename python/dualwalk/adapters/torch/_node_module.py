"""A fitted node path as a module: the same f in torch's operations, differentiable by the rows and by the networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from ... import _checks, _device
from ..._nodepath import path as node_path
from ..._nodepath.conditionals import Dense, Sparse
from ..._nodepath.features import _SIZE_LIMIT, _SIZE_MEAN, _SIZE_SCALE
from ..._nodepath.tables import _SAME
from ...backends._reference_nodes import LOG_SD_RANGE, N_COMPONENTS, N_OUTPUTS, N_TIED, layers
from ...duals.node import FittedPath, NodeDual, stands_on_base
from ._tensors import array_of, checked, stream_of, tensor_copy

_NUMBERS_AT_ONCE = 1 << 20  # of a block of nodes, on their grids


class NodeModule(nn.Module):  # type: ignore[misc]
    """A `NodeDual` as a module: normal scores x (n, n_features) to f (n,), nats, the average over folds.

    Made by `to_module`; `to_dual` goes back, bit for bit. The networks' weights are parameters, everything that was counted from
    data a buffer. Contexts are computed in the buffers' dtype (float64), the networks in their weights'; `.double()` makes all
    of it float64. Blocks of nodes of some MiB are computed again in the backward pass, so that memory stays small. Much
    slower than the NodeDual, and there to be trained and built upon: `walk` takes the dual.
    """

    def __init__(self, dual: NodeDual) -> None:
        super().__init__()
        _checks.instance(dual, "dual", NodeDual, remedy="pass a fitted DualDivergence's dual_, or use to_module")
        self.n_features = dual.n_features
        self.paths = nn.ModuleList(_PathModule(path, dual.dtype) for path in dual.paths)

    def forward(self, x: Any) -> Any:
        if checked(x, "x").ndim != 2 or x.shape[1] != self.n_features:
            raise ValueError(
                f"x must have shape (n, {self.n_features}); got {tuple(x.shape)} (flatten normal scores with x.flatten(1))"
            )
        total = sum((path(x) for path in self.paths), x.new_zeros(len(x)))
        return (total / max(1, len(self.paths))).to(x.dtype)

    def dual(self) -> NodeDual:
        """The NodeDual of the parameters and buffers as they are now, copied."""
        paths = [path.fitted() for path in self.paths]
        dtype = paths[0].weights.dtype.type if paths else np.float32
        return NodeDual(paths, self.n_features, dtype=dtype)


class _PathModule(nn.Module):  # type: ignore[misc]
    """One fold's path. `_template` is a fitted path without its numbers, which are the parameter and the buffers."""

    def __init__(self, fitted: FittedPath, dtype: Any) -> None:
        super().__init__()
        bare: Any = replace(fitted, weights=None)  # type: ignore[arg-type]
        self.weights = nn.Parameter(tensor_copy(fitted.weights.astype(dtype)))
        _each_array(bare, "", lambda name, array: self.register_buffer(name, tensor_copy(array)))
        self._template = _each_array(bare, "", lambda name, _: np.empty(0))

    def _filled(self, get: Callable[[Any], Any]) -> Any:
        """The fitted path with `get(tensor)` in the place of its arrays."""
        filled = _each_array(self._template, "", lambda name, _: get(getattr(self, name)))
        return replace(filled, weights=get(self.weights))

    def fitted(self) -> FittedPath:
        """The path as dualwalk has it, copied; its tables in the host's memory, as always."""
        with stream_of(self.weights):
            fitted: FittedPath = self._filled(lambda tensor: array_of(tensor).copy())
        if fitted.tables is not None:
            fitted = replace(fitted, tables=_each_array(fitted.tables, "", lambda _, array: _device.to_host(array)))
        return fitted

    def forward(self, x: Any) -> Any:
        """f of normal scores x (n, n_features): (n,)."""
        fitted = self._filled(lambda tensor: tensor)
        ordered = x.to(fitted.grid.dtype)[:, fitted.path.order]
        f = _terms(fitted, ordered).sum(0) if fitted.alpha else ordered.new_zeros(len(x))
        return f if fitted.refinement is None else _refined(fitted.refinement, ordered, f)


def _each_array(thing: Any, name: str, change: Callable[[str, Any], Any]) -> Any:
    """`thing` with `change(name, array)` for each array inside its data classes, dicts and tuples."""
    if is_dataclass(thing) and not isinstance(thing, type):
        own = {field.name: getattr(thing, field.name) for field in fields(thing)}
        return replace(thing, **{key: _each_array(value, f"{name}_{key}", change) for key, value in own.items()})
    if isinstance(thing, dict):
        return {key: _each_array(value, f"{name}_{key}", change) for key, value in thing.items()}
    if isinstance(thing, tuple):
        return tuple(_each_array(value, f"{name}_{k}", change) for k, value in enumerate(thing))
    is_array = isinstance(thing, (np.ndarray, torch.Tensor)) or _device.is_on_device(thing)
    return change(name, thing) if is_array else thing


def _terms(fitted: Any, ordered: Any) -> Any:
    """Terms of all nodes at rows in path order, (N, n): what `FittedPath.node_terms` gives."""
    context = _context(fitted.path, ordered)
    dtype, n = fitted.weights.dtype, len(ordered)
    inputs = torch.cat([context, fitted.path.statistics[:, :, None].expand(-1, -1, n)], dim=1).to(dtype)
    parts = (inputs, ordered.T[1:].to(dtype), fitted.grid.to(dtype))
    wide = len(fitted.weights) * N_COMPONENTS if fitted.kind == "density" else N_OUTPUTS
    at_once = max(1, _NUMBERS_AT_ONCE // max(1, n * parts[2].shape[1] * wide))
    blocks = list(zip(*(part.split(at_once) for part in parts), strict=True))
    if len(blocks) > 1 and torch.is_grad_enabled():
        terms = [checkpoint(_block_terms, fitted, *block, use_reentrant=False) for block in blocks]
    else:
        terms = [_block_terms(fitted, *block) for block in blocks]
    all_terms = torch.cat(terms).to(ordered.dtype)
    return all_terms if fitted.tables is None else _with_tables(fitted.tables, ordered, all_terms)


def _block_terms(fitted: Any, inputs: Any, child: Any, grid: Any) -> Any:
    """Normalized terms (b, n) of some nodes: inputs (b, I, n), children (b, n), grids (b, G)."""
    ratios = _density_ratios if fitted.kind == "density" else _contrastive_ratios
    at_child, on_grid = ratios(fitted, inputs.transpose(1, 2), child, grid[:, None])
    most = float(np.log(grid.shape[1]))
    return (fitted.alpha * at_child - ((fitted.alpha * on_grid).logsumexp(2) - most)).clamp(max=most)


def _hidden(signal: Any, matrices: Any) -> Any:
    for matrix in matrices:
        signal = nn.functional.silu(nn.functional.linear(signal, matrix[:, :-1], matrix[:, -1]))
    return signal


def _base(inputs: Any) -> tuple[Any, Any]:
    """The Gaussian base's mean and log scale, (b, n) each, which are among the inputs (b, n, I)."""
    return inputs[:, :, 1], inputs[:, :, node_path.N_CONTEXT]


def _density_ratios(fitted: Any, inputs: Any, child: Any, grid: Any) -> tuple[Any, Any]:
    """log of the members' mean mixture over N(0, 1), at the children (b, n) and on the grid, (b, n, G); inputs (b, n, I)."""
    base_mean, log_scale = _base(inputs)
    shares, means, log_sds = [], [], []
    for member in fitted.weights:
        *inner, last = layers(member, inputs.shape[2], N_OUTPUTS)
        raw = nn.functional.linear(_hidden(inputs, inner), last[:, :-1], last[:, -1]).permute(2, 0, 1)
        logits, mean, log_sd = raw.split(N_COMPONENTS)
        shares.append(logits.log_softmax(0) - float(np.log(len(fitted.weights))))
        means.append(torch.cat([base_mean + log_scale.exp() * mean[:N_TIED], mean[N_TIED:]]))
        log_sd = log_sd.clamp(*LOG_SD_RANGE)
        log_sds.append(torch.cat([log_sd[:N_TIED] + log_scale, log_sd[N_TIED:]]))
    share, mean, log_sd = map(torch.cat, (shares, means, log_sds))  # (components, b, n)
    precision, level = (-log_sd).exp(), share - log_sd
    z = (child - mean) * precision
    at_child = (level - 0.5 * z * z).logsumexp(0) + 0.5 * child * child
    z = (grid - mean[..., None]) * precision[..., None]
    density = torch.addcmul(level[..., None], z, z, value=-0.5).exp().sum(0)
    nearly_none = torch.finfo(density.dtype).tiny  # where no component reaches: it counts for nothing in a mean of exp
    return at_child, density.clamp(min=nearly_none).log() + 0.5 * grid * grid


def _contrastive_ratios(fitted: Any, inputs: Any, child: Any, grid: Any) -> tuple[Any, Any]:
    """The members' mean output, on the base's own log-ratio where they stand on it; shapes as above."""
    points = torch.cat([child[:, :, None], grid.expand(-1, child.shape[1], -1)], dim=2)
    total = torch.zeros_like(points)
    for member in fitted.weights:
        first, second, last = layers(member, inputs.shape[2] + 1, 1)
        from_inputs = nn.functional.linear(inputs, first[:, :-2], first[:, -1])
        hidden = nn.functional.silu(from_inputs[:, :, None] + points[:, :, :, None] * first[:, -2])
        total = total + nn.functional.linear(_hidden(hidden, [second]), last[:, :-1], last[:, -1])[..., 0]
    ratio = total / len(fitted.weights)
    if stands_on_base(fitted.base):
        base_mean, log_scale = (part[:, :, None] for part in _base(inputs))
        z = (points - base_mean) * (-log_scale).exp()
        ratio = ratio + 0.5 * (points * points - z * z) - log_scale
    return ratio[:, :, 0], ratio[:, :, 1:]


def _context(path: Any, ordered: Any) -> Any:
    """What each node is told of a row, (N, 6, n), as `NodePath.data` has it."""
    mean = _conditional_mean(path.base, ordered)
    distance = ((ordered - mean) / path.base.scale).abs().clamp(max=_SIZE_LIMIT)
    expected = _conditional_mean(path.sizes, (distance - _SIZE_MEAN) / _SIZE_SCALE)
    rows = [ordered.T[path.parent], mean.T[1:], expected.T[1:]]
    first, second = ordered[:, path.triples.first].T, ordered[:, path.triples.second].T
    product = first * second
    nearer = product.sign() * torch.where(first.abs() < second.abs(), first.abs(), second.abs())  # minimum() would share a tie
    pairs = [product / product.abs().clamp(min=1e-12).sqrt(), *((s * nearer).tanh() for s in node_path._STEEPNESS)]
    nothing, node = torch.zeros_like(rows[0]), path.triples.child - 1
    return torch.stack([*rows, *(nothing.index_copy(0, node, pair) for pair in pairs)], dim=1)


def _conditional_mean(conditionals: Any, z: Any) -> Any:
    if isinstance(conditionals, Dense):
        return z @ conditionals.coefficients.T
    if isinstance(conditionals, Sparse):
        return (z[:, conditionals.parents] * conditionals.weights).sum(2)
    total = torch.zeros_like(z)
    for read, write in zip(conditionals.read.T, conditionals.write.T, strict=True):
        total = total + nn.functional.pad((z[:, :-1] * write[:-1]).cumsum(1) * read[1:], (1, 0))
    return total


def _with_tables(tables: Any, ordered: Any, terms: Any) -> Any:
    """Terms with the tables' share in them, as `Tables.blend`."""
    category = {place: _categories(ordered[:, place].detach(), values) for place, values in tables.values.items()}
    places = zip(tables.log_ratio, tables.parent.tolist(), tables.child.tolist(), strict=True)
    counted = torch.stack([table[category[parent], category[child]] for table, parent, child in places])
    kept = float(np.log1p(-tables.weight)) + terms[tables.node]
    return terms.index_copy(0, tables.node, torch.logaddexp(kept, float(np.log(tables.weight)) + counted.to(kept.dtype)))


def _categories(z: Any, values: Any) -> Any:
    nearest = torch.searchsorted(0.5 * (values[1:] + values[:-1]), z.contiguous())
    return torch.where((values[nearest] - z).abs() < _SAME, nearest, len(values))


def _refined(refinement: Any, ordered: Any, f: Any) -> Any:
    """f blended with the mixture of clusters, as `Refinement.value`."""
    mixture = refinement.mixture
    centred = (ordered - mixture.mean[:, None]).transpose(1, 2)  # (k, d, n)
    whitened = torch.linalg.solve_triangular(mixture.factor, centred, upper=False)
    log_scale = mixture.factor.diagonal(dim1=1, dim2=2).log().sum(1)
    log_density = (mixture.log_share - log_scale)[:, None] - 0.5 * (whitened**2).sum(1)
    clusters = log_density.logsumexp(0) + 0.5 * (ordered**2).sum(1)
    return torch.logaddexp(float(np.log1p(-refinement.weight)) + f, float(np.log(refinement.weight)) + clusters)
