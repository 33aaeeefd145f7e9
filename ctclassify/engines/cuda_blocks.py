"""Attention over packed windows as one Triton kernel whose tiles span neighbouring windows.

FlashAttention's variable-length kernel gives each window and head tiles of its own, 128 queries by 128 keys: a sentence
of 30 tokens fills 5% of one. Here a tile holds the next ``_TILE`` tokens whatever their windows, runs over the keys
from the start of its first window to the end of its last, and masks pairs that do not share a window.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl

from ctclassify.engines.cuda_batch import PackedBatch

__all__ = ["block_attention"]

_TILE = 64
_LOG2_E = math.log2(math.e)


@triton.jit  # type: ignore[untyped-decorator]
def _kernel(
    qkv: Any,
    first: Any,
    last: Any,
    contexts: Any,
    n_tokens: Any,
    scale: Any,
    n_hidden: tl.constexpr,
    head_size: tl.constexpr,
    tile: tl.constexpr,
) -> None:
    """Attend for one tile of queries and one head; softmax is kept running over the tiles of keys (fp32)."""
    rows = tl.program_id(0) * tile + tl.arange(0, tile)
    columns = tl.program_id(1) * head_size + tl.arange(0, head_size)
    is_row = rows < n_tokens
    begins = tl.load(first + rows, mask=is_row, other=n_tokens)
    ends = tl.load(last + rows, mask=is_row, other=0)
    stop = tl.max(ends, 0)
    rows_at = rows[:, None].to(tl.int64) * 3 * n_hidden + columns[None, :]
    queries = tl.load(qkv + rows_at, mask=is_row[:, None], other=0.0)
    # A finite stand-in for minus infinity: a row meets keys of its own sooner or later, and these wipe out what
    # masked ones left before (the correction is then exp2 of a huge negative number: 0).
    highest = tl.full([tile], -1.0e30, tl.float32)
    total = tl.zeros([tile], tl.float32)
    sums = tl.zeros([tile, head_size], tl.float32)
    for start in range(tl.min(begins, 0), stop, tile):
        keys_at = start + tl.arange(0, tile)
        is_key = keys_at < stop
        at = keys_at[:, None].to(tl.int64) * 3 * n_hidden + columns[None, :]
        keys = tl.load(qkv + at + n_hidden, mask=is_key[:, None], other=0.0)
        values = tl.load(qkv + at + 2 * n_hidden, mask=is_key[:, None], other=0.0)
        scores = tl.dot(queries, tl.trans(keys), input_precision="ieee") * scale
        shares = (keys_at[None, :] >= begins[:, None]) & (keys_at[None, :] < ends[:, None])
        scores = tl.where(shares, scores, -1.0e30)
        higher = tl.maximum(highest, tl.max(scores, 1))
        correction = tl.exp2(highest - higher)
        weights = tl.exp2(scores - higher[:, None])
        total = total * correction + tl.sum(weights, 1)
        sums = sums * correction[:, None]
        sums += tl.dot(weights.to(values.dtype), values, input_precision="ieee")
        highest = higher
    result = sums / total[:, None]
    out_at = rows[:, None].to(tl.int64) * n_hidden + columns[None, :]
    tl.store(contexts + out_at, result.to(contexts.dtype.element_ty), mask=is_row[:, None])


def block_attention(qkv: torch.Tensor, batch: PackedBatch, *, tile: int = _TILE) -> torch.Tensor:
    """Attend within windows.

    Parameters
    ----------
    qkv : torch.Tensor, shape (n_tokens, 3, n_heads, head_size)
        Queries, keys and values, contiguous; ``head_size`` a power of two and at least 16.
    batch : PackedBatch
        Where the windows lie.
    tile : int, optional
        Queries and keys of a tile, a power of two and at least 16.

    Returns
    -------
    torch.Tensor, shape (n_tokens, n_heads * head_size)
        In the type of ``qkv``; sums and softmax are float32.
    """
    n_tokens, _, n_heads, head_size = qkv.shape
    contexts = qkv.new_empty(n_tokens, n_heads * head_size)
    _kernel[(triton.cdiv(n_tokens, tile), n_heads)](
        qkv,
        batch.first,
        batch.last,
        contexts,
        n_tokens,
        _LOG2_E / math.sqrt(head_size),
        n_hidden=n_heads * head_size,
        head_size=head_size,
        tile=tile,
        num_warps=4,
    )
    return contexts
