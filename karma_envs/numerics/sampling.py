"""Drawing tabular actions: probabilities as cumulative thresholds, one comparison of a whole row.

A row of probabilities over actions becomes ``uint16`` thresholds ``c[a] = round(65535 * P(A <= a))``;
for a draw ``d`` uniform on 0 … 65534 the action is the number of thresholds ``<= d``. Rows are padded
to a multiple of :data:`LANES` with :data:`NEVER`, which no draw reaches, so that a row of up to 32
actions is one cache line and one vector comparison: several times faster than a search.

The price is a resolution of 1/65535 in the probabilities. Actions of probability 0 are never drawn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.core.extending import intrinsic
from numpy.typing import NDArray

from karma_envs.numerics.compile import kernel
from karma_envs.numerics.random import GOLDEN, mix

LANES = 32
"""Thresholds compared at once; rows are padded to a multiple."""

NEVER = 65535
"""A threshold that no draw reaches."""

_LINE_BYTES = 64
_AHEAD = 32  # agents whose rows are fetched before their turn


def aligned_empty(shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Like ``np.empty``, but starting on a cache line (64 bytes; NumPy promises 16)."""
    dtype = np.dtype(dtype)
    n_bytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    raw = np.empty(n_bytes + _LINE_BYTES, np.uint8)
    start = -raw.ctypes.data % _LINE_BYTES
    return raw[start : start + n_bytes].view(dtype).reshape(shape)


def padded_width(n_actions: int) -> int:
    """Thresholds per row for ``n_actions`` actions."""
    return -(-n_actions // LANES) * LANES


def uniform_over(legal: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Every legal action with the same probability, ``float64[..., actions]``.

    Args:
        legal: ``bool[..., actions]``, at least one of each row.
    """
    return np.asarray(legal / legal.sum(axis=-1, keepdims=True))


def softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """exp(scores) over their sum along the last axis; a score of -inf, as of an illegal action, gives 0."""
    # The greatest score counts as 0, so that no exponential overflows; the ratios are the same.
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def thresholds_of(probabilities: NDArray[np.floating[Any]]) -> NDArray[np.uint16]:
    """Thresholds of rows of probabilities.

    Args:
        probabilities: ``float[..., n_actions]``, rows non-negative with sum 1.

    Returns:
        ``uint16[..., padded_width(n_actions)]``, starting on a cache line.
    """
    n_actions = probabilities.shape[-1]
    out = aligned_empty((*probabilities.shape[:-1], padded_width(n_actions)), np.uint16)
    out[...] = NEVER
    cumulative = np.cumsum(probabilities, axis=-1, dtype=np.float64)
    out[..., :n_actions] = np.clip(np.rint(cumulative * NEVER), 0, NEVER).astype(np.uint16)
    last = n_actions - 1 - np.argmax(probabilities[..., ::-1] > 0, axis=-1)
    out[..., :n_actions][np.arange(n_actions) >= last[..., None]] = NEVER
    return out


def probabilities_of(thresholds: NDArray[np.uint16], n_actions: int) -> NDArray[np.float64]:
    """The probabilities with which :func:`sample_actions` draws: the inverse of :func:`thresholds_of`.

    Args:
        thresholds: ``uint16[..., padded_width(n_actions)]``.
        n_actions: how many of a row's entries are actions.

    Returns:
        ``float64[..., n_actions]``, multiples of 1/65535 that sum to 1.
    """
    cumulative = thresholds[..., :n_actions].astype(np.float64)
    return np.diff(cumulative, axis=-1, prepend=0.0) / NEVER


@intrinsic
def _count_compiled(typing_context, table, block, draw):
    """Entries ``<= draw`` among the 32 of block number ``block`` of a contiguous uint16 array.

    Written as vector instructions because numba's loops over ``uint16`` are widened to 64 bits.
    """
    signature = types.int64(table, types.int64, types.uint16)

    def codegen(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        index_type, vector = ir.IntType(32), ir.VectorType(ir.IntType(16), LANES)
        offset = builder.mul(arguments[1], ir.Constant(ir.IntType(64), LANES))
        row = builder.load(builder.bitcast(builder.gep(array.data, [offset]), vector.as_pointer()))
        row.align = 2
        undefined = ir.Constant(vector, ir.Undefined)
        first = builder.insert_element(undefined, arguments[2], ir.Constant(index_type, 0))
        lanes = ir.Constant(ir.VectorType(index_type, LANES), [0] * LANES)
        everywhere = builder.shuffle_vector(first, undefined, lanes)
        hits = builder.bitcast(builder.icmp_unsigned("<=", row, everywhere), ir.IntType(LANES))
        return builder.zext(builder.ctpop(hits), ir.IntType(64))

    return signature, codegen


@intrinsic
def _prefetch(typing_context, table, index):
    """Ask for the cache line of entry number ``index`` of a contiguous array."""
    signature = types.void(table, types.int64)

    def codegen(context, builder, signature, arguments):
        array = context.make_array(signature.args[0])(context, builder, arguments[0])
        pointer, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        address = builder.bitcast(builder.gep(array.data, [arguments[1]]), pointer)
        kind = ir.FunctionType(ir.VoidType(), [pointer, flag, flag, flag])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        to_read, keep, data = flag(0), flag(3), flag(1)
        builder.call(function, [address, to_read, keep, data])
        return context.get_dummy_value()

    return signature, codegen


def _count_in_python(table, block, draw):
    """As :func:`_count_compiled`, where numba is switched off."""
    return int(np.count_nonzero(table.reshape(-1)[block * LANES : (block + 1) * LANES] <= draw))


COMPILED = not config.DISABLE_JIT  # type: ignore[attr-defined]
_count_at_most: Any = _count_compiled if COMPILED else _count_in_python


@kernel
def prefetch(table, row, observation, action):
    """Fetch ``table[row, observation, action]`` and its cache line from memory, without waiting for it.

    Worth it before a loop over entries that lie far apart: their ways from memory then overlap.

    Args:
        table: ``[rows, observations, width]``, contiguous.
        row: which policy or Q table.
        observation: tabular observation.
        action: action.
    """
    place = np.int64(row) * table.shape[1] + np.int64(observation)
    if COMPILED:
        _prefetch(table, place * table.shape[2] + np.int64(action))  # type: ignore[call-arg]


@kernel
def sample_action(thresholds, row, observation, draw):
    """The action that ``draw`` (uniform ``uint16``) selects in one row.

    Args:
        thresholds: ``uint16[rows, observations, width]``, contiguous.
        row: which policy.
        observation: tabular observation.
        draw: 65535 counts as 65534.
    """
    blocks = thresholds.shape[2] // LANES
    first = (np.int64(row) * thresholds.shape[1] + np.int64(observation)) * blocks
    draw = min(draw, np.uint16(NEVER - 1))
    action = np.int64(0)
    for block in range(blocks):
        action += _count_at_most(thresholds, first + block, draw)
    return action


@kernel
def sample_actions(thresholds, row_of_agent, observations, streams, stream, actions):
    """Draw one action per agent; four draws from each 64 random bits.

    Args:
        thresholds: ``uint16[rows, observations, width]``, contiguous.
        row_of_agent: ``int[N]``, the policy each agent plays.
        observations: ``int[N]``, tabular observations.
        streams: random streams; ``streams[stream]`` advances by ceil(N/4).
        stream: index of the stream to draw from.
        actions: ``int[N]``, written.
    """
    n_agents = observations.shape[0]
    counter = np.uint64(streams[stream])
    bits = np.uint64(0)
    for agent in range(n_agents):
        ahead = min(agent + _AHEAD, n_agents - 1)
        prefetch(thresholds, row_of_agent[ahead], observations[ahead], 0)
        if agent & 3 == 0:
            counter += GOLDEN
            bits = mix(counter)
        draw = np.uint16(bits & np.uint64(0xFFFF))
        bits >>= np.uint64(16)
        actions[agent] = sample_action(thresholds, row_of_agent[agent], observations[agent], draw)
    streams[stream] = counter
