"""Windows and batches."""

from __future__ import annotations

import pytest

from ctclassify.errors import ModelFolderError
from ctclassify.tokenization import TextEncoder


@pytest.fixture
def encoder(tiny_folder) -> TextEncoder:
    """The tiny tokenizer with windows of 12 tokens: 10 words, neighbours share 5."""
    return TextEncoder(tiny_folder / "tokenizer.json", 12)


@pytest.mark.parametrize("n_words", [1, 9, 10, 11, 15, 16, 20, 21, 47])
def test_windows_cover_every_token_and_overlap(encoder, tiny_folder, n_words):
    words = ["bomb", "rain", "court", "bill", "law"] * 10
    windows = encoder.encode([" ".join(words[:n_words])])
    whole = TextEncoder(tiny_folder / "tokenizer.json", 512).encode([" ".join(words[:n_words])]).ids[0].tolist()
    first, last = whole[0], whole[-1]
    found = [ids.tolist() for ids in windows.ids]
    assert all(ids[0] == first and ids[-1] == last and len(ids) <= 12 for ids in found)
    rebuilt = found[0][1:-1]
    for ids in found[1:]:
        assert ids[1:6] == rebuilt[-5:]
        rebuilt += ids[6:-1]
    assert rebuilt == whole[1:-1]
    assert windows.is_windowed.tolist() == [n_words > 10]


def test_owners_name_the_text_of_each_window(encoder):
    windows = encoder.encode(["bomb", "rain " * 25, "", "law"])
    assert windows.owner.tolist() == [0, 1, 1, 1, 1, 2, 3]
    assert windows.is_windowed.tolist() == [False, True, False, False]


def test_no_texts_give_no_windows(encoder):
    windows = encoder.encode([])
    assert (windows.ids, len(windows.owner), len(windows.is_windowed)) == ([], 0, 0)


def test_a_lone_surrogate_is_read_as_unknown(encoder):
    lone, unknown = (encoder.encode([text]).ids[0].tolist() for text in ("bomb \ud800", "bomb \ufffd"))
    assert lone == unknown


@pytest.mark.parametrize("content", ["{}", "not json", ""])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(ModelFolderError, match="not a tokenizer"):
        TextEncoder(path, 32)


def test_the_name_of_a_special_token_in_a_text_is_text(encoder):
    plain, named = (encoder.encode([text]).ids[0].tolist() for text in ("bomb", "bomb [SEP] [PAD] [CLS] bomb"))
    first, last = plain[0], plain[-1]
    assert named.count(first) == named.count(last) == 1
    assert 0 not in named[1:-1]


def test_more_texts_than_are_encoded_at_once_keep_their_ids(tiny_folder, monkeypatch):
    monkeypatch.setattr("ctclassify.tokenization._ENCODED_AT_ONCE", 3)
    encoder = TextEncoder(tiny_folder / "tokenizer.json", 12)
    words = ["bomb", "rain", "court", "bill", "law"]
    texts = [" ".join(words[i % 5 :] + words[: i % 4]) for i in range(9)] + ["rain " * 25]
    together = encoder.encode(texts)
    alone = [ids.tolist() for text in texts for ids in encoder.encode([text]).ids]
    assert [ids.tolist() for ids in together.ids] == alone
    assert together.owner.tolist() == [*range(9), *[9] * (len(alone) - 9)]
    assert together.is_windowed.tolist() == [False] * 9 + [True]
