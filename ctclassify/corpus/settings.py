"""What a run's output depends on, and how two runs' settings differ."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ctclassify._version import __version__
from ctclassify.corpus.columns import ReadOptions
from ctclassify.corpus.discover import InputFile, fingerprint
from ctclassify.corpus.tagging import ArticleTagger
from ctclassify.engines.cpus import available_cpus
from ctclassify.thresholds import Thresholds, resolve_thresholds

__all__ = ["differences", "machine", "make_settings"]

_FORMAT_VERSION = 1
_SHOWN = 12


def make_settings(
    classifier: ArticleTagger,
    thresholds: Thresholds,
    files: Sequence[InputFile],
    options: ReadOptions,
    *,
    output_format: str,
    with_text: bool,
    part_articles: int,
) -> dict[str, Any]:
    """Return everything that the bytes of a run's output depend on, but the processor, in JSON types.

    Parameters
    ----------
    classifier : ArticleTagger
        The model.
    thresholds : None, float, str, or mapping of str to float
        As for :meth:`ctclassify.SentenceClassifier.predict`.
    files : sequence of InputFile
        The inputs; each is read once for its checksum.
    options : ReadOptions
        How they are read.
    output_format : str
        ``parquet``, ``jsonl`` or ``csv``.
    with_text : bool
        Whether sentences are kept.
    part_articles : int
        Items of a part.

    Raises
    ------
    LabelError
        If a threshold does not fit the model.
    """
    info = classifier.info()
    names = classifier.label_names
    sets = {name: list(values.values()) for name, values in classifier.threshold_sets.items()}
    limits = resolve_thresholds(thresholds, names, list(classifier.thresholds.values()), sets)
    return {
        "format_version": _FORMAT_VERSION,
        "label_names": list(names),
        "thresholds": dict(zip(names, limits.tolist(), strict=True)),
        "model_sha256": info.get("sha256"),
        "engine": {key: info.get(key) for key in ("engine", "engine_version", "precision")},
        "review": info.get("review"),
        "versions": {
            "ctclassify": __version__,
            "python": ".".join(platform.python_version_tuple()[:2]),
            **{name: _installed(name) for name in _packages(files, output_format)},
        },
        "reading": {
            "text_column": options.text_column,
            "id_column": options.id_column,
            "date_column": options.date_column,
            "source_column": options.source_column,
            "encoding": options.encoding,
            "delimiter": options.delimiter,
        },
        "output": {"format": output_format, "with_text": with_text, "part_articles": part_articles},
        "inputs": [fingerprint(file) for file in files],
    }


def machine(classifier: ArticleTagger) -> dict[str, Any]:
    """Return what probabilities' last digits may depend on: the processor and how many cores compute."""
    return {"device": classifier.info().get("device"), "cpus": available_cpus()}


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """Return in words what differs between the settings of a run's folder and those of today.

    Parameters
    ----------
    then, now : mapping
        As :func:`make_settings` gives them, ``then`` read back from JSON.

    Returns
    -------
    tuple of str
        One item a difference, at most twelve and one that counts the others; empty for equal settings.
    """
    found = [
        *_compare("", {**then, "inputs": None}, {**now, "inputs": None}),
        *_compare("input ", _by_name(then), _by_name(now)),
    ]
    if _same_content(then, now):
        found.append("the inputs hold the same bytes under other names: name them as before, from the same folder")
    if len(found) > _SHOWN:
        found[_SHOWN:] = [f"and {len(found) - _SHOWN} more"]
    return tuple(found)


def _by_name(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs by name; their order counts as well."""
    return {str(each["file"]): {**each, "place": i} for i, each in enumerate(settings.get("inputs") or ())}


def _same_content(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether inputs differ in their names alone."""
    before, after = ([dict(each) for each in settings.get("inputs") or ()] for settings in (then, now))
    names = [[each.pop("file", None) for each in inputs] for inputs in (before, after)]
    return names[0] != names[1] and before == after


def _compare(where: str, then: Any, now: Any) -> list[str]:
    """Return the differences of two values of JSON, mappings key by key."""
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        found = []
        for key in dict.fromkeys([*then, *now]):
            name = f"{where}{key}" if not where or where.endswith(" ") else f"{where}: {key}"
            if key not in now:
                found.append(f"{name} was there, is not now")
            elif key not in then:
                found.append(f"{name} was not there, is now")
            else:
                found.extend(_compare(name, then[key], now[key]))
        return found
    return [] if then == now else [f"{where} was {then!r}, is {now!r}"]


def _packages(files: Sequence[InputFile], output_format: str) -> list[str]:
    """Return the packages that a run's output depends on, those for formats only where it reads or writes them."""
    needs_arrow = output_format == "parquet" or any(each.needs_pyarrow for each in files)
    needs_html = any(each.kind == "html" for each in files)
    return ["numpy", "tokenizers", *["pyarrow"] * needs_arrow, *["trafilatura"] * needs_html]


def _installed(package: str) -> str | None:
    """Return an installed package's version, None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
