"""The baseline of every table: TF-IDF features and one logistic regression a label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_union

from training.data import LabelledSentences, indicator_matrix

__all__ = ["baseline_scores"]


def baseline_scores(
    train: LabelledSentences, texts: Sequence[Sequence[str]], label_names: Sequence[str], *, seed: int = 13
) -> list[npt.NDArray[np.float32]]:
    """Fit the baseline and score some lists of texts.

    Parameters
    ----------
    train : LabelledSentences
        Rows to learn from.
    texts : sequence of sequence of str
        Lists to score.
    label_names : sequence of str
        Labels in order. A label without positives, or without negatives, in ``train`` gets its constant rate.
    seed : int
        Of the solver.

    Returns
    -------
    list of ndarray of float32, each of shape (n_texts, n_labels)
        Probabilities: words of one and two, character n-grams of two to five within words, class weights balanced.

    Raises
    ------
    ValueError
        If the rows are too few to share a word or a run of letters.
    """
    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=3, sublinear_tf=True, max_features=200_000),
    )
    try:
        matrix = features.fit_transform(train.texts)
    except ValueError as error:  # every term is rarer than min_df
        raise ValueError(
            f"{len(train)} sentences are too few for the TF-IDF baseline: it takes words of two of them and runs of "
            "letters of three; give it more, or leave it out"
        ) from error
    rows = [features.transform(each) if len(each) else None for each in texts]
    scores = [np.zeros((len(each), len(label_names)), dtype=np.float32) for each in texts]
    for j, column in enumerate(indicator_matrix(train.labels, label_names).T):
        if column.min() == column.max():
            for score in scores:
                score[:, j] = column[0]
            continue
        model = LogisticRegression(C=4.0, class_weight="balanced", solver="liblinear", random_state=seed)
        model.fit(matrix, column)
        for score, row in zip(scores, rows, strict=True):
            if row is not None:
                score[:, j] = model.predict_proba(row)[:, 1]
    return scores
