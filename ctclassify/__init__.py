"""Tag every sentence of a counterterrorism news article with what it reports.

>>> import ctclassify
>>> clf = ctclassify.load()
>>> clf.predict(["Troops backed by helicopters stormed the camp before dawn."])
[('security_operation',)]
"""

from __future__ import annotations

from ctclassify._version import __version__
from ctclassify.article import Article, Sentence
from ctclassify.classifier import SentenceClassifier, load
from ctclassify.corpus.api import tag_corpus
from ctclassify.errors import (
    CorpusError,
    CTClassifyError,
    DataError,
    EngineError,
    InputTextError,
    InputTypeError,
    LabelError,
    ModelFolderError,
    RejectedInputError,
    RunFolderError,
)
from ctclassify.labels import LabelDefinition, label_definitions
from ctclassify.splitting import split_sentences

__all__ = [
    "Article",
    "CTClassifyError",
    "CorpusError",
    "DataError",
    "EngineError",
    "InputTextError",
    "InputTypeError",
    "LabelDefinition",
    "LabelError",
    "ModelFolderError",
    "RejectedInputError",
    "RunFolderError",
    "Sentence",
    "SentenceClassifier",
    "__version__",
    "label_definitions",
    "load",
    "split_sentences",
    "tag_corpus",
]
