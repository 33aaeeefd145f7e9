"""One self-contained HTML page of a report: figures and plots, no script, no network, no sentence of the data."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from training.evaluation.bootstrap import MIN_DOCUMENTS
from training.evaluation.html_tables import figure_cell, heat_table, interval_cell, table
from training.evaluation.plots import precision_recall_plot, reliability_plot, risk_coverage_plot

__all__ = ["html_page"]

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
.box { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: .3rem; font-weight: 600; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #8884; text-align: right; }
th:first-child { text-align: left; font-weight: 500; }
.heat th, .heat td { padding: .15rem .35rem; font-size: .8rem; }
.heat thead th { vertical-align: bottom; } .heat thead span { writing-mode: vertical-rl; transform: rotate(180deg); }
.zero { opacity: .35; } .diagonal { background: #8882; }
code { overflow-wrap: anywhere; font-size: .85em; }
svg { max-width: 100%; height: auto; }
@media print {
  :root { color-scheme: light; } body { max-width: none; margin: 0; font-size: 10pt; }
  .box { overflow: visible; } table, svg, figure { break-inside: avoid; } h2 { break-after: avoid; }
}
"""
# The policy makes a browser refuse what the page must not need: scripts and the network.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html_page(report: Mapping[str, Any], *, name: str) -> str:
    """Return a report as a page.

    Parameters
    ----------
    report : mapping
        As :func:`training.evaluate.evaluate` or :func:`training.cross_validation.cross_validate` gives it.
    name : str
        Name of the report: the page's title.

    Returns
    -------
    str
        An HTML document in UTF-8; the same report gives the same bytes.
    """
    sections = [
        _provenance(report),
        _headline(report),
        _labels(report),
        _spreads(report),
        _comparison(report),
        _slices(report["slices"]),
        _confusion(report["confusion"]),
        "<h2>Precision and recall</h2>\n" + precision_recall_plot(report["precision_recall"], name="pr"),
        _reliability(report["reliability"]),
        _review(report["review"]),
    ]
    title = escape(f"Evaluation: {name}")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{''.join(sections)}</body>\n</html>\n"
    )


def _provenance(report: Mapping[str, Any]) -> str:
    """Return what was scored on what, by which engine."""
    folder, engine = report["model_folder"], report["engine"]
    model = f"{escape(folder['name'])} {_checksums(folder['sha256'])}"
    data = "".join(
        f"<li>{escape(each['file'])} <code>{escape(each['sha256'])}</code></li>\n" for each in report["data"]
    )
    runs_on = escape(" ".join(str(engine[key]) for key in ("engine", "engine_version", "precision")))
    note = ""
    if "seeds" in report:
        note = f"<p>{len(report['seeds']['models'])} models were scored; tables and plots are those of the first.</p>\n"
    return (
        f"<p>Model: {model}<br>Engine: {runs_on}<br>"
        f"{report['model']['n_texts']} sentences of {report['model']['n_documents']} articles, SHA-256 of the files:"
        f"</p>\n<ul>\n{data}</ul>\n{note}"
    )


def _checksums(sums: Mapping[str, str]) -> str:
    """Return the checksums of what decides the figures: the weights, and the thresholds beside them."""
    names = ("model.safetensors", "ctclassify.json")
    return ", ".join(f"{name} <code>{escape(sums[name])}</code>" for name in names if name in sums)


def _headline(report: Mapping[str, Any]) -> str:
    """Return the figures over all labels with their intervals."""
    model, baseline = report["model"], report.get("baseline")
    rows = []
    for average in ("micro", "macro"):
        for key in ("precision", "recall", "f1"):
            interval = interval_cell(model["intervals"][f"{average}_f1"]) if key == "f1" else ""
            other = [figure_cell(baseline[average][key])] if baseline else []
            rows.append([f"{average} {key.replace('f1', 'F1')}", figure_cell(model[average][key]), interval, *other])
    for key, heading in (("samples_f1", "samples F1"), ("exact_match", "exact match")):
        interval = interval_cell(model["intervals"][key]) if key in model["intervals"] else ""
        rows.append([heading, figure_cell(model[key]), interval, *([figure_cell(baseline[key])] if baseline else [])])
    headings = ["", "model", "95% interval (bootstrap by article)", *(["TF-IDF baseline"] if baseline else [])]
    few = f"<p>Fewer than {MIN_DOCUMENTS} articles give no interval.</p>\n"
    note = few if model["n_documents"] < MIN_DOCUMENTS else ""
    return "<h2>Over all labels</h2>\n" + table("Headline figures", headings, rows) + note


def _labels(report: Mapping[str, Any]) -> str:
    """Return the table of the labels."""
    model, baseline = report["model"], report.get("baseline")
    rows = []
    for name, row in model["labels"].items():
        cells = [figure_cell(row[key]) for key in ("precision", "recall", "f1", "average_precision")]
        calibration, errors = report["reliability"]["labels"][name], report["confusion"]["labels"][name]
        cells += [figure_cell(calibration["ece"]), figure_cell(calibration["brier"])]
        other = [figure_cell(baseline["labels"][name]["f1"])] if baseline else []
        rows.append([name, *cells, row["support"], errors["n_false_negative"], errors["n_false_positive"], *other])
    headings = ["label", "precision", "recall", "F1", "AP", "ECE", "Brier", "support", "missed", "given wrongly"]
    headings += ["TF-IDF F1"] if baseline else []
    return "<h2>Labels</h2>\n" + table("Figures of each label", headings, rows)


def _spreads(report: Mapping[str, Any]) -> str:
    """Return the tables of seeds and folds, where there are any."""
    parts = []
    for key, heading, members in (("seeds", "Seeds", "models"), ("cross_validation", "Folds", "folds")):
        if key not in report:
            continue
        part = report[key]
        each = [
            [str(one.get("name", one.get("fold"))), *(figure_cell(one[a]["f1"]) for a in ("micro", "macro"))]
            for one in part[members]
        ]
        spreads = {"micro F1": part["micro_f1"], "macro F1": part["macro_f1"], **part["labels"]}
        rows = [
            [name, row["n"], *(figure_cell(row[figure]) for figure in ("mean", "sd", "min", "max"))]
            for name, row in spreads.items()
        ]
        note = ""
        if key == "cross_validation":
            note = (
                f"<p>{part['n_seen_elsewhere']} sentences stand word for word in another fold too; "
                f"{part['n_validation_left_out']} validation sentences of documents in the folds were left out.</p>\n"
            )
        parts.append(
            f"<h2>{heading}</h2>\n{note}"
            + table(f"Each of the {members}", ["", "micro F1", "macro F1"], each)
            + table("Spread of F1", ["", "n", "mean", "standard deviation", "least", "most"], rows)
        )
    return "".join(parts)


def _comparison(report: Mapping[str, Any]) -> str:
    """Return the test of the difference from another model, where there is one."""
    if "comparison" not in report:
        return ""
    part, rows = report["comparison"], []
    for average in ("micro", "macro"):
        row = part[f"{average}_f1"]
        figures = [report["model"][average]["f1"], row["other"], row["difference"]]
        cells = [*map(figure_cell, figures), interval_cell(row["interval"]), figure_cell(row["p_value"], digits=4)]
        rows.append([f"{average} F1", *cells])
    other = part["model_folder"]
    headings = ["", "model", "other", "difference", "95% interval", "p (two-sided)"]
    caption = (
        f"Less {other['name']}: {part['n_documents']} articles, {part['n_resamples']} resamples (interval) "
        "and swaps (p) by article"
    )
    note = f"<p>Other model: {_checksums(other['sha256'])}</p>\n"
    return f"<h2>Comparison</h2>\n{table(caption, headings, rows)}{note}"


def _slices(slices: Mapping[str, Any]) -> str:
    """Return one table a field."""
    tables = [
        table(
            f"By {field}",
            ["", "sentences", "articles", "true labels", "given wrongly", "micro F1", "macro F1"],
            [
                [
                    name,
                    *(row[key] for key in ("n_texts", "n_documents", "n_positive", "n_false_positive")),
                    *(figure_cell(row[key]) for key in ("micro_f1", "macro_f1")),
                ]
                for name, row in values.items()
            ],
        )
        for field, values in slices.items()
    ]
    return "<h2>Slices</h2>\n" + "".join(tables)


def _confusion(confusion: Mapping[str, Any]) -> str:
    """Return the confusion matrix, the largest confusions and the labels that stand together."""
    names = confusion["label_names"]
    top = [[each["missed"], each["given"], each["count"]] for each in confusion["top"]]
    return "".join(
        (
            "<h2>Confusion and co-occurrence</h2>\n",
            heat_table(
                "Sentences that miss one label and are wrongly given another",
                "missed \\ given",
                names,
                confusion["missed_given"],
                has_diagonal=False,
            ),
            table("Largest confusions", ["missed", "given instead", "sentences"], top),
            heat_table("True labels together", "label", names, confusion["true_together"], has_diagonal=True),
            heat_table("Predicted labels together", "label", names, confusion["predicted_together"], has_diagonal=True),
        )
    )


def _reliability(reliability: Mapping[str, Any]) -> str:
    """Return the reliability diagrams."""
    pooled = reliability["pooled"]
    text = (
        f"Expected calibration error, {reliability['n_bins']} bins: pooled {figure_cell(pooled['ece'])}, mean of the "
        f"labels {figure_cell(reliability['mean_ece'])}. Brier score: {figure_cell(pooled['brier'])}."
    )
    plot = reliability_plot({"all labels pooled": pooled, **reliability["labels"]}, name="reliability")
    return f"<h2>Reliability of the probabilities</h2>\n<p>{escape(text)}</p>\n{plot}\n"


def _review(review: Mapping[str, Any]) -> str:
    """Return what review buys."""
    least, band = review["least_certain"], review["band"]
    rows = [["10% least certain", least]] + ([["the model's band", band]] if band is not None else [])
    cells = [
        [name, row["n_reviewed"], *(figure_cell(row[key]) for key in ("share", "micro_precision", "micro_f1"))]
        for name, row in rows
    ]
    headings = ["set aside", "sentences", "share", "micro precision of the rest", "micro F1 of the rest"]
    gain = f"Setting the 10% aside gains {figure_cell(least['gain_points'], digits=1)} points of micro-F1."
    plot = risk_coverage_plot(review["risk_coverage"], name="review")
    return f"<h2>Review</h2>\n{table('What stays with the model', headings, cells)}<p>{gain}</p>\n{plot}\n"
