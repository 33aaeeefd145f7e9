"""The manifest of a finished run, written once its counts add up."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ctclassify.corpus.counts import TOTALS, add_up
from ctclassify.corpus.formats import count_rows
from ctclassify.corpus.run_folder import REJECTED
from ctclassify.errors import RunFolderError

__all__ = ["make_manifest"]


def make_manifest(path: Path, settings: Mapping[str, Any], commits: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the manifest of a run after counting its files anew.

    Parameters
    ----------
    path : pathlib.Path
        The run's folder.
    settings : mapping
        The run's settings.
    commits : sequence of mapping
        The records of all its parts, in order.

    Returns
    -------
    dict
        The settings, each input with its counts, the totals, the parts with sizes and checksums, the processors that
        computed them, and the checksum of ``rejected.jsonl``. No times: the same run gives the same bytes.

    Raises
    ------
    RunFolderError
        If the rows of the files are not as many as were counted.
    """
    totals = add_up(commits, settings["label_names"], len(settings["inputs"]))
    by_file = totals.pop("by_file")
    rejected, n_rejected = _measure(path / REJECTED)
    _check(path, settings["output"]["format"], commits, totals, n_rejected)
    inputs = [
        {**each, "n_articles": n_articles, "n_rejected": n_rejected}
        for each, (n_articles, n_rejected) in zip(settings["inputs"], by_file, strict=True)
    ]
    machines: list[Any] = []
    for commit in commits:
        if commit["machine"] not in machines:
            machines.append(commit["machine"])
    return {
        **{key: value for key, value in settings.items() if key != "inputs"},
        "machines": machines,
        "counts": totals,
        "inputs": inputs,
        "rejected": rejected,
        "parts": [
            {**{name: commit[name] for name in ("part", "n_articles", "n_sentences")}, "files": commit["files"]}
            for commit in commits
        ],
    }


def _measure(path: Path) -> tuple[dict[str, Any], int]:
    """Return name, size and checksum of a file, and how many lines it has."""
    digest, n_bytes, n_lines = hashlib.sha256(), 0, 0
    with path.open("rb") as stream:
        while data := stream.read(1 << 20):
            digest.update(data)
            n_bytes += len(data)
            n_lines += data.count(b"\n")
    return {"file": path.name, "bytes": n_bytes, "sha256": digest.hexdigest()}, n_lines


def _check(
    path: Path,
    output_format: str,
    commits: Sequence[Mapping[str, Any]],
    totals: Mapping[str, Any],
    n_rejected: int,
) -> None:
    """Count what lies on the disk and compare it with what was counted when it was computed."""
    found = dict.fromkeys(("sentences", "articles"), 0)
    for commit in commits:
        for name in commit["files"]:
            found[name.split("/")[0]] += count_rows(path / name, output_format)
    expected = [
        ("rows of sentences", found["sentences"], totals["n_sentences"]),
        ("rows of articles", found["articles"], totals["n_articles"]),
        ("lines of rejected.jsonl", n_rejected, totals["n_rejected"]),
        ("articles and rejected items", totals["n_articles"] + totals["n_rejected"], totals["n_items"]),
    ]
    for what, got, counted in expected:
        if got != counted:
            raise RunFolderError(
                f"{path}: the counts do not add up: {got} {what}, {counted} counted ({', '.join(TOTALS)}); the files "
                "were altered; name an empty folder and run again",
                path=path,
            )
