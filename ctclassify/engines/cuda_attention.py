"""Attention within the windows of a packed batch, two ways.

``varlen``
    FlashAttention over cumulative lengths, from torch (2.10 or later). A window takes whole tiles of 128 queries.
``padded``
    Windows padded to the longest and torch's ``scaled_dot_product_attention``: runs anywhere, the only one on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import torch
from torch.nn import functional

from ctclassify.engines.cuda_batch import PackedBatch
from ctclassify.errors import EngineError

__all__ = ["ATTENTIONS", "Attention", "choose_attention", "make_attention"]

Attention = Callable[[torch.Tensor, PackedBatch], torch.Tensor]
"""From queries, keys and values, shape (n_tokens, 3, n_heads, head_size), to contexts, (n_tokens, hidden_size)."""

ATTENTIONS = ("varlen", "padded")


def choose_attention(device: torch.device, dtype: torch.dtype, head_size: int) -> str:
    """Return the best kind that device, type and torch allow: ``varlen`` or ``padded``."""
    if device.type != "cuda" or dtype not in (torch.bfloat16, torch.float16) or head_size % 8 or head_size > 256:
        return "padded"
    if torch.cuda.get_device_capability(device) < (8, 0) or not _has_varlen():
        return "padded"
    return "varlen"


def make_attention(kind: str) -> Attention:
    """Return an attention by its name.

    Raises
    ------
    EngineError
        If the name is unknown, or what it needs is not installed.
    """
    if kind == "padded":
        return padded_attention
    if kind == "varlen":
        if not _has_varlen():
            raise EngineError(
                f"attention 'varlen' needs torch 2.10 or later, this is {torch.__version__}; use 'padded'"
            )
        return varlen_attention
    raise EngineError(f"unknown attention {kind!r}; known: {', '.join(ATTENTIONS)}")


def varlen_attention(qkv: torch.Tensor, batch: PackedBatch) -> torch.Tensor:
    """Attend by torch's FlashAttention; rows of spare tokens hold anything."""
    from torch.nn.attention.varlen import varlen_attn

    queries, keys, values = qkv.unbind(1)
    offsets, longest = batch.offsets, batch.longest
    # By position: the names of the further parameters changed between torch 2.10 and 2.13.
    contexts: torch.Tensor = varlen_attn(queries, keys, values, offsets, offsets, longest, longest)  # type: ignore[assignment]
    return contexts.reshape(len(qkv), -1)


def padded_attention(qkv: torch.Tensor, batch: PackedBatch) -> torch.Tensor:
    """Attend over windows padded to the longest; needs a batch without spare tokens."""
    n_windows, longest = batch.n_windows, batch.longest
    slots = batch.window.long() * longest + batch.positions
    padded = qkv.new_zeros(n_windows * longest, *qkv.shape[1:])
    padded[slots] = qkv
    # (n_windows, longest, 3, n_heads, head_size) -> 3 times (n_windows, n_heads, longest, head_size)
    queries, keys, values = padded.view(n_windows, longest, *qkv.shape[1:]).permute(2, 0, 3, 1, 4).unbind()
    lengths = batch.offsets.diff()
    is_token = torch.arange(longest, device=qkv.device) < lengths[:, None]
    contexts = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=is_token[:, None, None])
    return contexts.transpose(1, 2).reshape(n_windows * longest, -1)[slots]


def _has_varlen() -> bool:
    """Return whether this torch has ``varlen_attn``."""
    return find_spec("torch.nn.attention.varlen") is not None
