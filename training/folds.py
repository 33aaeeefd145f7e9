"""Folds of whole documents, alike in size and in each label."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from training.data import LabelledSentences, indicator_matrix

__all__ = ["assign_folds", "count_seen_elsewhere", "take_share"]


def assign_folds(
    sentences: LabelledSentences, label_names: Sequence[str], n_folds: int, *, seed: int
) -> npt.NDArray[np.intp]:
    """Assign whole documents to folds that are alike in size and in each label.

    Parameters
    ----------
    sentences : LabelledSentences
        The rows.
    label_names : sequence of str
        The labels to balance.
    n_folds : int
        At least 1.
    seed : int
        Orders documents that weigh the same.

    Returns
    -------
    ndarray of intp, shape (n_texts,)
        Fold of each sentence, from 1.

    Notes
    -----
    Greedy, the rarest first as in iterative stratification [1]_: documents by falling share of all positives, each to
    the fold where it adds least to the sum of squared shares of the labels and of the sentences.

    References
    ----------
    .. [1] Sechidis, Tsoumakas and Vlahavas, On the Stratification of Multi-Label Data, ECML PKDD 2011.
    """
    names, group = np.unique(np.asarray(sentences.documents), return_inverse=True)
    rows = np.ones((len(sentences), len(label_names) + 1))
    rows[:, :-1] = indicator_matrix(sentences.labels, label_names)
    contents = np.zeros((len(names), rows.shape[1]))
    np.add.at(contents, group, rows)
    shares = contents / np.maximum(contents.sum(0), 1)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    # Rounded: sums of the same shares in another order must not decide who comes first.
    order = shuffled[np.argsort(-shares.sum(1)[shuffled].round(12), kind="stable")]
    held = np.zeros((n_folds, rows.shape[1]))
    fold_of = np.zeros(len(names), dtype=np.intp)
    for document in order:
        added = (held @ shares[document]).round(12)
        # Documents without a label in common with a fold tie: the smallest fold takes them.
        fold = int(np.lexsort((held[:, -1].round(12), added))[0])
        held[fold] += shares[document]
        fold_of[document] = fold + 1
    return fold_of[group]


def count_seen_elsewhere(sentences: LabelledSentences, folds: npt.NDArray[np.intp]) -> int:
    """Return how many sentences stand word for word in another fold too: folds of documents do not part them."""
    places: dict[str, set[int]] = {}
    for text, fold in zip(sentences.texts, folds.tolist(), strict=True):
        places.setdefault(text, set()).add(fold)
    return sum(len(places[text]) > 1 for text in sentences.texts)


def take_share(sentences: LabelledSentences, share: float) -> LabelledSentences:
    """Take part of the documents.

    Parameters
    ----------
    sentences : LabelledSentences
        The rows.
    share : float
        Above 0, at most 1: the part of the documents to expect; 1 gives ``sentences`` as they are.

    Returns
    -------
    LabelledSentences
        Whole documents, in their order. The same documents wherever the files lie, and all of those that a smaller
        share takes: a document is taken where the hash of its first sentence, as a fraction of the largest, is below
        ``share``. Of few documents a small share may be none.
    """
    if share == 1:
        return sentences
    first: dict[str, bool] = {}
    for text, document in zip(sentences.texts, sentences.documents, strict=True):
        if document not in first:
            first[document] = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") < share * 2**64
    kept = [i for i, document in enumerate(sentences.documents) if first[document]]
    return LabelledSentences(
        texts=tuple(sentences.texts[i] for i in kept),
        labels=tuple(sentences.labels[i] for i in kept),
        documents=tuple(sentences.documents[i] for i in kept),
        fields={name: tuple(values[i] for i in kept) for name, values in sentences.fields.items()},
    )
