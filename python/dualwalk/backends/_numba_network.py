# mypy: disable-error-code="no-untyped-def"
"""The node network in Numba: a tile of pairs (one node, some of its rows) lies side by side, features down."""

from __future__ import annotations

import numpy as np

from ._numba_precision import quick_log, small_exp
from ._numba_scalar import jit

TILE = 48  # pairs side by side
TIED, COMPONENTS = 2, 5  # as in _reference_nodes.py
LOWEST_LOG_SD, HIGHEST_LOG_SD = -4.0, 1.5
SUMS = frozenset({"contract", "reassoc"})  # sums over a tile's pairs may be taken in any (fixed) order


@jit()
def tiles(like, n):
    """Room for n numbers of every pair of a tile: an array of its own, as LLVM vectorizes no loop over views of one array."""
    return np.zeros((n, TILE), like.dtype)


@jit()
def pairs_of_tiles(like, n):
    """The same for each of the two hidden layers."""
    return np.zeros((2, n, TILE), like.dtype)


@jit()
def sign_of(code, flip):
    """-1 where `code & flip` has an odd number of bits."""
    bits = code & flip
    return -1 if (bits ^ bits >> 1 ^ bits >> 2) & 1 else 1


@jit()
def gather(context, statistics, codes, node, rows, first, n, flip, inputs):
    """The tile's inputs: rows `rows[first + i]`, the last pair repeated where there are fewer than a tile."""
    n_context, n_statistics = context.shape[1], statistics.shape[1]
    kind = inputs.dtype.type
    for i in range(n_context):
        sign, source = kind(sign_of(codes[i], flip)), context[node, i]
        for p in range(TILE):
            inputs[i, p] = sign * source[rows[first + min(p, n - 1)]]
    for i in range(n_statistics):
        value = kind(sign_of(codes[n_context + i], flip)) * statistics[node, i]
        for p in range(TILE):
            inputs[n_context + i, p] = value


@jit()
def gather_child(child, node, rows, first, n, ahead, n_wrap, flip, out):
    """Children of the tile's pairs, or of the rows `ahead` further on among the first `n_wrap` rows."""
    sign = out.dtype.type(sign_of(2, flip))
    for p in range(TILE):
        out[p] = sign * child[node, rows[(first + min(p, n - 1) + ahead) % n_wrap]]


@jit()
def multiply(matrix, given, out):
    """out += matrix[:, :len(given)] @ given, every entry a tile; eight columns at once, to load out less often."""
    n_rows, n_columns = len(out), len(given)
    whole = n_columns // 8 * 8
    for c in range(0, whole, 8):
        g = given[c : c + 8]
        for r in range(n_rows):
            w, o = matrix[r, c : c + 8], out[r]
            for i in range(TILE):
                near = o[i] + w[0] * g[0, i] + w[1] * g[1, i] + w[2] * g[2, i] + w[3] * g[3, i]
                o[i] = near + w[4] * g[4, i] + w[5] * g[5, i] + w[6] * g[6, i] + w[7] * g[7, i]
    for c in range(whole, n_columns):
        for r in range(n_rows):
            w, o = matrix[r, c], out[r]
            for i in range(TILE):
                o[i] += w * given[c, i]


@jit()
def affine(matrix, given, out):
    """out = matrix @ given + the matrix's last column."""
    for r in range(len(out)):
        bias = matrix[r, matrix.shape[1] - 1]
        for i in range(TILE):
            out[r, i] = bias
    multiply(matrix, given, out)


@jit()
def activate(values, slopes):
    """SiLU in place, and its derivative; a sigmoid below 2^-125 counts as 0."""
    kind = values.dtype.type
    one = kind(1)
    for r in range(len(values)):
        z, slope = values[r], slopes[r]
        for i in range(TILE):
            small = small_exp(-abs(z[i]))
            share = one / (one + small)
            sigmoid = small * share if z[i] < 0 else share
            value = z[i] * sigmoid
            slope[i] = sigmoid + value - value * sigmoid
            z[i] = value


@jit()
def upper_layers(second, last, hidden, slopes, outputs):
    """From the first layer's sums in hidden[0] to the outputs."""
    activate(hidden[0], slopes[0])
    affine(second, hidden[0], hidden[1])
    activate(hidden[1], slopes[1])
    affine(last, hidden[1], outputs)


@jit()
def back_to_sums(second_turned, last_turned, slopes, by_output, back):
    """From the gradient by the outputs to back[1] and back[0], those by the sums of the two hidden layers."""
    for layer in (1, 0):
        into = back[layer]
        into[:] = 0
        if layer == 1:
            multiply(last_turned, by_output, into)
        else:
            multiply(second_turned, back[1], into)
        for r in range(len(into)):
            for i in range(TILE):
                into[r, i] *= slopes[layer, r, i]


@jit(fastmath=SUMS)
def add_products(by_sum, below, gradient):
    """gradient[o, i] += sum over the tile of by_sum[o] below[i], four rows at once to load `below` less often."""
    kind = by_sum.dtype.type
    whole = len(by_sum) // 4 * 4
    for o in range(0, whole, 4):
        left = by_sum[o : o + 4]
        for i in range(len(below)):
            right = below[i]
            a, b, c, d = kind(0), kind(0), kind(0), kind(0)
            for p in range(TILE):
                x = right[p]
                a += left[0, p] * x
                b += left[1, p] * x
                c += left[2, p] * x
                d += left[3, p] * x
            gradient[o, i] += a
            gradient[o + 1, i] += b
            gradient[o + 2, i] += c
            gradient[o + 3, i] += d
    for o in range(whole, len(by_sum)):
        for i in range(len(below)):
            total = kind(0)
            for p in range(TILE):
                total += by_sum[o, p] * below[i, p]
            gradient[o, i] += total


@jit(fastmath=SUMS)
def add_sums(by_sum, gradient):
    """The last column of `gradient` takes the sum of by_sum over the tile."""
    for o in range(len(by_sum)):
        total = by_sum.dtype.type(0)
        for p in range(TILE):
            total += by_sum[o, p]
        gradient[o, gradient.shape[1] - 1] += total


@jit()
def softmax(values, total):
    """Softmax over the components, in place; `total` takes their log-sum-exp."""
    kind = values.dtype.type
    largest, one = np.empty(TILE, values.dtype), kind(1)
    for i in range(TILE):
        largest[i] = values[0, i]
    for j in range(1, COMPONENTS):
        for i in range(TILE):
            largest[i] = max(largest[i], values[j, i])
    for i in range(TILE):
        total[i] = 0
    for j in range(COMPONENTS):
        for i in range(TILE):
            values[j, i] = small_exp(values[j, i] - largest[i])
            total[i] += values[j, i]
    for j in range(COMPONENTS):
        for i in range(TILE):
            values[j, i] *= one / total[i]
    for i in range(TILE):
        total[i] = largest[i] + quick_log(total[i])


@jit()
def density_log_ratio(outputs, child, mean, log_scale, value, by_output):
    """f of every pair into `value`; `outputs` is used up, `by_output` takes the gradient by it."""
    kind = outputs.dtype.type
    half, one = kind(0.5), kind(1)
    logits, raw = outputs[:COMPONENTS], outputs[2 * COMPONENTS :]
    posterior = np.empty((COMPONENTS, TILE), outputs.dtype)
    z, precision = np.empty_like(posterior), np.empty_like(posterior)
    joint, total = np.empty(TILE, outputs.dtype), np.empty(TILE, outputs.dtype)
    narrow = small_exp(-log_scale)
    for j in range(COMPONENTS):
        tied = kind(1) if j < TIED else kind(0)
        scale = narrow if j < TIED else one
        for i in range(TILE):
            log_sd = min(max(raw[j, i], kind(LOWEST_LOG_SD)), kind(HIGHEST_LOG_SD))
            precision[j, i] = small_exp(-log_sd)
            z[j, i] = ((child[i] - tied * mean[i]) * scale - outputs[COMPONENTS + j, i]) * precision[j, i]
            posterior[j, i] = logits[j, i] - log_sd - half * z[j, i] * z[j, i] - tied * log_scale
    softmax(posterior, joint)
    softmax(logits, total)
    for i in range(TILE):
        value[i] = joint[i] - total[i] + half * child[i] * child[i]
    for j in range(COMPONENTS):
        for i in range(TILE):
            by_output[j, i] = posterior[j, i] - logits[j, i]
            by_output[COMPONENTS + j, i] = posterior[j, i] * z[j, i] * precision[j, i]
            inside = kind(LOWEST_LOG_SD) <= raw[j, i] <= kind(HIGHEST_LOG_SD)
            by_output[2 * COMPONENTS + j, i] = posterior[j, i] * (z[j, i] * z[j, i] - one) if inside else kind(0)
