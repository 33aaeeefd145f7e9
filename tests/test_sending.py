"""A classifier on its way to another process: loaded anew there, or refused with a reason."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

import ctclassify
from ctclassify.errors import DataError, EngineError, ModelFolderError, RejectedInputError, RunFolderError

TEXTS = ["A bomb in the town.", "", "Rain on the river."]


def test_a_classifier_travels_without_its_weights(tiny_folder):
    sent = pickle.dumps(ctclassify.load(tiny_folder, engine="openvino-fp32"))
    assert len(sent) < 2_000
    again = pickle.loads(sent)
    assert (again.folder.path, again.engine.precision) == (tiny_folder, "fp32")


def test_another_process_gives_the_same_answers(tiny_folder):
    classifier = ctclassify.load(tiny_folder, engine="openvino-fp32")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(classifier.predict_proba, (TEXTS,))
    np.testing.assert_array_equal(there, classifier.predict_proba(TEXTS))


def tasks_that_fail(sent: bytes, match: str) -> None:
    """Check that a process that cannot load what was sent gives the error back, in any form of task."""
    classifier = pickle.loads(sent)
    for use in (lambda: classifier.predict(TEXTS), lambda: classifier.label_names, lambda: repr(classifier.folder)):
        with pytest.raises(ModelFolderError, match=match):
            use()


def test_a_folder_that_changed_on_the_way_is_refused(tiny_folder, tiny_mean_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    sent = pickle.dumps(ctclassify.load(folder, engine="openvino-fp32"))
    shutil.rmtree(folder)
    shutil.copytree(tiny_mean_folder, folder)
    tasks_that_fail(sent, "another model than the process that sent")


def test_other_thresholds_on_the_way_are_refused(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    sent = pickle.dumps(ctclassify.load(folder, engine="openvino-fp32"))
    manifest = json.loads((folder / "ctclassify.json").read_text())
    manifest["thresholds"]["attack"] = 0.99
    (folder / "ctclassify.json").write_text(json.dumps(manifest))
    tasks_that_fail(sent, "or other thresholds")


def test_a_pool_gets_the_error_and_does_not_wait_for_ever(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    classifier = ctclassify.load(folder, engine="openvino-fp32")
    shutil.rmtree(folder)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        with pytest.raises(ModelFolderError, match="is not a folder") as caught:
            pool.apply_async(classifier.predict, (TEXTS,)).get(timeout=60)
        assert caught.value.path == folder


def test_a_process_loads_what_is_sent_again_and_again_once(tiny_folder):
    sent = pickle.dumps(ctclassify.load(tiny_folder, engine="openvino-fp32"))
    assert pickle.loads(sent) is pickle.loads(sent)


@pytest.mark.parametrize(
    "error",
    [
        ModelFolderError("m", path=Path("a")),
        DataError("m", path=Path("a"), line_number=3),
        RunFolderError("m", path=Path("a"), differences=("x",)),
        RejectedInputError("m", file="a", row=1, reason="bad_json"),
        EngineError("m"),
    ],
)
def test_errors_can_be_sent(error):
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_the_shipped_model_is_found_where_it_is_installed():
    assert pickle.loads(pickle.dumps(ctclassify.load())).folder.path == ctclassify.load().folder.path
    assert str(ctclassify.load().folder.path).encode() not in pickle.dumps(ctclassify.load())


def test_a_classifier_made_by_hand_says_what_to_do(tiny):
    by_hand = ctclassify.SentenceClassifier(tiny.folder, tiny.engine)
    with pytest.raises(TypeError, match="load one in each process"):
        pickle.dumps(by_hand)
