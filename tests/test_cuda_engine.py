"""The packed engine: packing by hand, equality with the padded reference on a CPU; on CUDA where there is one."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from ctclassify.engines import cuda_attention, cuda_engine, cuda_graphs
from ctclassify.engines.cuda_attention import choose_attention, make_attention, padded_attention
from ctclassify.engines.cuda_batch import PackedBatch, flat_size, pack, unpad
from ctclassify.engines.cuda_engine import PackedEngine
from ctclassify.engines.cuda_graphs import room_for
from ctclassify.engines.cuda_model import PackedBert, is_packable
from ctclassify.engines.torch_engine import TorchEngine
from ctclassify.errors import EngineError
from ctclassify.model_folder import read_model_folder, read_weights
from ctclassify.shipped import shipped_model_path

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.fixture(params=["tiny_folder", "tiny_mean_folder"])
def folder(request):
    """A checked tiny model of each pooling."""
    return read_model_folder(request.getfixturevalue(request.param))


def windows(lengths, n_words, seed=0):
    """Return random ids, padded, and their lengths."""
    lengths = np.array(lengths, dtype=np.int32)
    ids = np.random.default_rng(seed).integers(0, n_words, (len(lengths), lengths.max()))
    return ids.astype(np.int32), lengths


def packed(ids, lengths, n_tokens, n_windows):
    """Return a batch on the CPU, its memory poisoned before."""
    flat = torch.full((flat_size(n_tokens, n_windows),), -9, dtype=torch.int32)
    pack(ids, lengths, flat.numpy(), n_tokens=n_tokens, n_windows=n_windows)
    return PackedBatch.view(flat, n_tokens, int(lengths.max()))


# Packing


def test_a_batch_packed_by_hand():
    batch = packed(np.arange(5, 10, dtype=np.int32), np.array([3, 2], dtype=np.int32), 8, 3)
    assert batch.ids.tolist() == [5, 6, 7, 8, 9, 0, 0, 0]
    assert batch.positions.tolist() == [0, 1, 2, 0, 1, 0, 0, 0]
    assert batch.first.tolist() == [0, 0, 0, 3, 3, 5, 6, 7]
    assert batch.last.tolist() == [3, 3, 3, 5, 5, 6, 7, 8]
    assert batch.window.tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert batch.offsets.tolist() == [0, 3, 5, 5]
    assert batch.n_windows == 3


def test_unpad_drops_padding_alone():
    ids = np.array([[1, 2, 3], [4, 9, 9], [5, 6, 9]], dtype=np.int32)
    assert unpad(ids, np.array([3, 1, 2], dtype=np.int32)).tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("need", "room"),
    [
        ((1, 1, 1), (256, 32, 128)),
        ((256, 32, 128), (256, 32, 128)),
        ((257, 33, 129), (384, 48, 256)),
        ((385, 49, 512), (512, 64, 512)),
        ((16000, 700, 40), (16384, 768, 128)),
    ],
)
def test_rooms_hold_their_batches_in_few_shapes(need, room):
    found = room_for(*need)
    assert (found.n_tokens, found.n_windows, found.longest) == room


def test_every_room_is_large_enough_and_wastes_at_most_a_third():
    for n in range(1, 5000):
        room = room_for(n, n, 1)
        assert room.n_tokens >= n
        assert room.n_windows >= n
        assert room.n_tokens <= max(256, n * 3 / 2)


# The model on a CPU, float32


@pytest.mark.parametrize("lengths", [[1], [32], [1, 2, 32, 7, 7, 3], [5] * 40])
def test_packed_equals_the_padded_reference(folder, lengths):
    ids, n_tokens = windows(lengths, folder.config["vocab_size"])
    expected = TorchEngine(folder, "cpu").probabilities(ids, n_tokens)
    engine = PackedEngine(folder, device="cpu")
    got = engine.probabilities(ids, n_tokens)
    assert (engine.precision, engine.attention, got.dtype, got.shape) == ("fp32", "padded", np.float32, expected.shape)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    np.testing.assert_array_equal(engine.probabilities_packed(unpad(ids, n_tokens), n_tokens), got)


def test_windows_do_not_see_each_other(folder):
    engine = PackedEngine(folder, device="cpu")
    ids, n_tokens = windows([4, 9, 6], folder.config["vocab_size"])
    together = engine.probabilities(ids, n_tokens)
    other = ids.copy()
    other[1] = (other[1] + 1) % folder.config["vocab_size"]
    changed = engine.probabilities(other, n_tokens)
    assert np.abs(changed[1] - together[1]).max() > 1e-3
    np.testing.assert_allclose(changed[[0, 2]], together[[0, 2]], atol=1e-6)


def test_spare_room_changes_nothing(folder):
    """What a graph relies on: spare tokens and windows, and garbage in the contexts of spare tokens."""

    def with_garbage(qkv, batch):
        n = int(batch.offsets[-1])
        used = packed(batch.ids[:n].numpy(), n_tokens, n, len(n_tokens))
        contexts = torch.full((len(qkv), qkv.shape[2] * qkv.shape[3]), torch.nan)
        contexts[:n] = padded_attention(qkv[:n], used)
        return contexts

    ids, n_tokens = windows([3, 8, 1], folder.config["vocab_size"])
    options = {"device": torch.device("cpu"), "dtype": torch.float32}
    weights = read_weights(folder.weights_path)
    expected = PackedEngine(folder, device="cpu").probabilities(ids, n_tokens)
    with torch.no_grad():
        model = PackedBert(weights, folder.config, attention=with_garbage, **options)
        got = model(packed(unpad(ids, n_tokens), n_tokens, 20, 6)).numpy()
    assert got.shape == (6, 3)
    np.testing.assert_allclose(got[:3], expected, atol=1e-6)


def test_no_window_gives_no_row(folder):
    nothing = np.zeros(0, dtype=np.int32)
    assert PackedEngine(folder, device="cpu").probabilities_packed(nothing, nothing).shape == (0, 3)


def test_bfloat16_stays_close(folder):
    ids, n_tokens = windows([1, 2, 32, 7, 7, 3], folder.config["vocab_size"])
    expected = TorchEngine(folder, "cpu").probabilities(ids, n_tokens)
    engine = PackedEngine(folder, device="cpu", precision="bf16")
    assert engine.precision == "bf16"
    np.testing.assert_allclose(engine.probabilities(ids, n_tokens), expected, atol=0.05)


def test_the_same_batch_gives_the_same_bits(folder):
    ids, n_tokens = windows([1, 2, 32, 7, 7, 3], folder.config["vocab_size"])
    engine = PackedEngine(folder, device="cpu")
    np.testing.assert_array_equal(engine.probabilities(ids, n_tokens), engine.probabilities(ids, n_tokens))


@pytest.mark.model
def test_the_shipped_model_packed():
    folder = read_model_folder(shipped_model_path())
    ids, n_tokens = windows([512, 1, 30, 31, 2], folder.config["vocab_size"])
    expected = TorchEngine(folder, "cpu").probabilities(ids, n_tokens)
    np.testing.assert_allclose(PackedEngine(folder, device="cpu").probabilities(ids, n_tokens), expected, atol=1e-5)


# Choices and refusals


def test_a_cpu_takes_padding():
    assert choose_attention(torch.device("cpu"), torch.float32, 32) == "padded"
    assert make_attention("padded") is padded_attention


def test_an_unknown_attention_is_refused(folder):
    with pytest.raises(EngineError, match="unknown attention 'flash'; known: varlen, padded"):
        PackedEngine(folder, device="cpu", attention="flash")


def test_an_attention_that_is_not_installed_is_refused(monkeypatch):
    monkeypatch.setattr(cuda_attention, "find_spec", lambda _: None)
    with pytest.raises(EngineError, match=r"needs torch 2\.10 or later"):
        make_attention("varlen")


def test_an_attention_that_fails_gives_way_to_padding_and_says_so(folder, monkeypatch):
    def fails(qkv, batch):
        raise RuntimeError("no kernel")

    makers = {"varlen": fails, "padded": padded_attention}
    monkeypatch.setattr(cuda_engine, "choose_attention", lambda *_: "varlen")
    monkeypatch.setattr(cuda_engine, "make_attention", makers.__getitem__)
    with pytest.warns(RuntimeWarning, match=r"attention 'varlen' fails here \(no kernel\); padding is used"):
        engine = PackedEngine(folder, device="cpu")
    ids, n_tokens = windows([3, 5], folder.config["vocab_size"])
    assert engine.attention == "padded"
    assert engine.probabilities(ids, n_tokens).shape == (2, 3)


def test_an_attention_that_computes_something_else_gives_way_to_padding(folder, monkeypatch):
    makers = {"varlen": lambda qkv, batch: padded_attention(qkv, batch).flip(0), "padded": padded_attention}
    monkeypatch.setattr(cuda_engine, "choose_attention", lambda *_: "varlen")
    monkeypatch.setattr(cuda_engine, "make_attention", makers.__getitem__)
    with pytest.warns(RuntimeWarning, match="off by .* of the largest value"):
        assert PackedEngine(folder, device="cpu").attention == "padded"


def test_an_attention_that_is_right_is_kept(folder, monkeypatch):
    monkeypatch.setattr(cuda_engine, "choose_attention", lambda *_: "varlen")
    monkeypatch.setattr(cuda_engine, "make_attention", lambda _: lambda qkv, batch: padded_attention(qkv, batch))
    assert PackedEngine(folder, device="cpu").attention == "varlen"


def test_graphs_are_refused_without_cuda(folder):
    with pytest.raises(EngineError, match="CUDA graphs need CUDA"):
        PackedEngine(folder, device="cpu", graphs=True)


def test_another_architecture_is_refused(folder):
    config = json.loads(json.dumps(folder.config)) | {"hidden_act": "relu"}
    assert is_packable(folder.config)
    assert not is_packable(config)
    with pytest.raises(EngineError, match="only BERT with gelu"):
        PackedBert(read_weights(folder.weights_path), config, device=torch.device("cpu"), dtype=torch.float32)


def test_a_missing_weight_is_named(folder):
    weights = read_weights(folder.weights_path)
    del weights["classifier.bias"]
    with pytest.raises(EngineError, match=r"lack 'classifier\.bias'"):
        PackedBert(weights, folder.config, device=torch.device("cpu"), dtype=torch.float32)


# CUDA


@needs_cuda
@pytest.mark.parametrize("attention", ["varlen", "padded"])
@pytest.mark.parametrize("lengths", [[1], [32], [1, 2, 32, 7, 7, 3]])
def test_cuda_stays_close_to_the_reference(folder, attention, lengths):
    ids, n_tokens = windows(lengths, folder.config["vocab_size"])
    expected = TorchEngine(folder, "cpu").probabilities(ids, n_tokens)
    engine = PackedEngine(folder, attention=attention)
    np.testing.assert_allclose(engine.probabilities(ids, n_tokens), expected, atol=0.05)


@needs_cuda
@pytest.mark.model
@pytest.mark.parametrize("attention", ["varlen", "padded"])
@pytest.mark.parametrize("graphs", [False, True])
def test_cuda_with_the_shipped_model(attention, graphs):
    if graphs and attention == "padded":
        pytest.skip("refused: padding waits for the host")
    folder = read_model_folder(shipped_model_path())
    engine = PackedEngine(folder, attention=attention, graphs=graphs)
    reference = TorchEngine(folder, "cpu")
    for seed, lengths in enumerate([[512, 1, 30, 31, 2], [30] * 9, [512, 1, 30, 31, 2]]):
        ids, n_tokens = windows(lengths, folder.config["vocab_size"], seed)
        scores = engine.probabilities(ids, n_tokens)
        np.testing.assert_allclose(scores, reference.probabilities(ids, n_tokens), atol=0.05)
        np.testing.assert_array_equal(scores, engine.probabilities(ids, n_tokens))


@needs_cuda
def test_the_torch_engine_packs_on_cuda(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engine = TorchEngine(folder, "cuda")
    assert engine.precision == "bf16"
    assert engine.token_budget == cuda_engine._TOKEN_BUDGET
    assert cuda_graphs.room_for(engine.token_budget, 1, 1).n_tokens == engine.token_budget
