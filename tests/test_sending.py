"""A classifier on its way to another process: loaded anew there, or refused with a reason."""

from __future__ import annotations

import multiprocessing
import pickle
import shutil

import numpy as np
import pytest

import ctclassify
from ctclassify.errors import ModelFolderError

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


def test_a_folder_that_changed_on_the_way_is_refused(tiny_folder, tiny_mean_folder, tmp_path):
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    sent = pickle.dumps(ctclassify.load(folder, engine="openvino-fp32"))
    shutil.rmtree(folder)
    shutil.copytree(tiny_mean_folder, folder)
    with pytest.raises(ModelFolderError, match="another model than the process that sent"):
        pickle.loads(sent)


def test_the_shipped_model_is_found_where_it_is_installed():
    assert pickle.loads(pickle.dumps(ctclassify.load())).folder.path == ctclassify.load().folder.path
    assert str(ctclassify.load().folder.path).encode() not in pickle.dumps(ctclassify.load())


def test_a_classifier_made_by_hand_says_what_to_do(tiny):
    by_hand = ctclassify.SentenceClassifier(tiny.folder, tiny.engine)
    with pytest.raises(TypeError, match="load one in each process"):
        pickle.dumps(by_hand)
