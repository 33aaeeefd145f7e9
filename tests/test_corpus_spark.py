"""The Spark recipe of the documentation, on a local Spark."""

from __future__ import annotations

import importlib.util
import shutil
import sys

import pytest

from tests.test_corpus_analysis import recipe


@pytest.mark.model
@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(importlib.util.find_spec("pyspark") is None or not shutil.which("java"), reason="needs Spark, Java")
def test_the_spark_recipe_gives_the_labels_of_the_library(shipped, monkeypatch):
    from pyspark.sql import SparkSession

    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    texts = ["A bomb killed two guards near the bridge. Rain fell.", "", "The envoys met in the capital on Monday."]
    session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        articles = session.createDataFrame(list(enumerate(texts)), "id int, text string").coalesce(1)
        found = {"articles": articles}
        exec(recipe("spark"), found)
        got = [(row.id, row.start, row.end, row.text, tuple(row.labels)) for row in found["sentences"].collect()]
    finally:
        session.stop()
    expected = [
        (i, s.start, s.end, s.text, s.labels)
        for i, article in enumerate(shipped.predict_stream(texts))
        for s in article.sentences
    ]
    assert sorted(got) == expected
