"""Ray gives the same bytes as the local run, also where an actor is killed."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

import ctclassify
from tests.corpus_stub import StubClassifier, snapshot

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own

ROOT = Path(__file__).resolve().parents[1]


class DyingClassifier(StubClassifier):
    """Kills its process once, in the middle of a part."""

    def __init__(self, marker: Path) -> None:
        super().__init__()
        self.marker = marker

    def predict_stream(self, articles, *, thresholds=None):
        for i, article in enumerate(super().predict_stream(articles, thresholds=thresholds)):
            if i == 1 and "Item 14 " in article.text and not self.marker.exists():
                self.marker.write_text("died")
                os.kill(os.getpid(), signal.SIGKILL)
            yield article


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """A cluster of two CPUs on this machine."""
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    environment = {"env_vars": {"PYTHONPATH": str(ROOT)}}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=environment)
    yield
    ray.shutdown()


@pytest.fixture
def source(tmp_path) -> Path:
    """Thirty lines, two of them broken, one with an id that was there."""
    lines = [json.dumps({"id": f"a{i}", "text": f"The court met. Item {i} of the day followed."}) for i in range(27)]
    lines[4:4] = ["{", json.dumps({"id": "a1", "text": "Once more."}), "[]"]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    return tmp_path / "in.jsonl"


@pytest.mark.parametrize("dies", [False, True])
def test_ray_gives_the_bytes_of_the_local_run(source, tmp_path, dies):
    options = {"part_articles": 4, "output_format": "jsonl"}
    ctclassify.tag_corpus(source, tmp_path / "local", classifier=StubClassifier(), **options)
    marker = tmp_path / "marker"
    classifier = DyingClassifier(marker) if dies else StubClassifier()
    ctclassify.tag_corpus(source, tmp_path / "ray", classifier=classifier, engine="ray", ray_actors=2, **options)
    here, there = snapshot(tmp_path / "local"), snapshot(tmp_path / "ray")
    manifests = [json.loads(each.pop("manifest.json")) for each in (here, there)]
    assert there == here
    # An actor has one core of Ray, which the manifest says; nothing else in it may differ.
    assert [[machine["cpus"] for machine in each.pop("machines")] for each in manifests][1] == [1]
    assert manifests[0] == manifests[1]
    assert marker.exists() == dies


class FarClassifier(StubClassifier):
    """Says in which process it computes."""

    def __init__(self) -> None:
        super().__init__()
        self.home = os.getpid()

    def info(self):
        return {**super().info(), "device": "home" if os.getpid() == self.home else "worker"}


def test_the_manifest_names_the_machines_that_computed(source, tmp_path):
    manifest = ctclassify.tag_corpus(
        source, tmp_path / "ray", classifier=FarClassifier(), engine="ray", ray_actors=1, output_format="jsonl"
    )
    assert [each["device"] for each in manifest["machines"]] == ["worker"]
