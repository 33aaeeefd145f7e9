"""The view of ``ctclassify tag`` for people: sentences with their labels highlighted."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, TextIO

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from ctclassify.article import Article
from ctclassify.cli.controls import escape_controls
from ctclassify.cli.writers import Selection, sentence_rows

__all__ = ["TextWriter", "label_style", "make_console", "printable"]

_STYLES = {
    "designation": "black on bright_magenta",
    "attack": "white on red",
    "casualties": "white on dark_red",
    "responsibility_claim": "black on orange3",
    "diplomatic_dialogue": "black on bright_cyan",
    "cooperation": "black on green3",
    "condemnation": "black on gold3",
    "endorsement": "black on light_green",
    "security_operation": "white on blue",
    "legal_action": "black on sky_blue2",
    "threat": "black on yellow",
    "terrorist_financing": "black on plum2",
    "policy": "white on purple4",
    "radicalization": "white on deep_pink4",
}


def label_style(name: str) -> str:
    """Return the rich style of a label; labels outside the codebook are shown reversed."""
    return _STYLES.get(name, "reverse")


def printable(text: str) -> str:
    """Return a text on one line that cannot steer a terminal."""
    return escape_controls(" ".join(re.split(r"[\s\x85]+", text)))


class _PipeAwareConsole(Console):
    """Console that lets a closed pipe reach ``main``, which knows the exit code for it."""

    def on_broken_pipe(self) -> None:
        raise


def make_console(stream: TextIO, color: str = "auto") -> Console:
    """Return a console for a stream; ``color`` is ``auto`` (a terminal, and no NO_COLOR), ``always`` or ``never``."""
    forced = {"auto": None, "always": True, "never": False}[color]
    return _PipeAwareConsole(
        file=stream,
        force_terminal=forced,
        no_color={"auto": None, "always": False, "never": True}[color],
        highlight=False,
    )


class TextWriter:
    """Writes each article as numbered sentences, each followed by its labels with their probabilities."""

    def __init__(self, stream: TextIO, selection: Selection, *, color: str) -> None:
        self._console = make_console(stream, color)
        self._is_terminal = self._console.is_terminal
        self._selection = selection

    def write(self, source: str, article: Article) -> None:
        """Write one article."""
        rows = list(sentence_rows(article, self._selection))
        self._title(source, article, Counter(name for row in rows for name in row["labels"]))
        width = len(str(len(article.sentences)))
        if article.sentences and not rows:
            self._console.print(Text(f"({_nothing(self._selection)})", style="dim"))
        for row in rows:
            number = Text(f"{row['index'] + 1:>{width}}  ", style="dim")
            text = Text(printable(row["text"]), style="" if row["labels"] else "dim")
            self._print(number, self._wrapped(text, hang=width + 2))
            if row["labels"] or row["is_truncated"] or row["needs_review"]:
                self._print(Text(" " * (width + 2)), self._laid_out(_badges(row), hang=width + 2))
        self._console.print()

    def close(self) -> None:
        """Write nothing more."""

    def _title(self, source: str, article: Article, counts: Counter[str]) -> None:
        """Write the article's name and the number of sentences with each label."""
        n_sentences = len(article.sentences)
        name = "standard input" if source == "-" else printable(source)
        title = f"{name} · {n_sentences} sentence{'' if n_sentences == 1 else 's'}"
        if self._is_terminal:
            self._console.print(Rule(Text(title, style="bold"), align="left", style="dim"))
        else:
            self._console.print(Text(f"== {title} =="), soft_wrap=True)
        if not n_sentences:
            self._console.print(Text("(no text)", style="dim"))
        elif counts:
            parts = [Text.assemble(_badge(name), f" {counts[name]}") for name in self._selection.labels if counts[name]]
            self._print(Text(), self._laid_out(parts, hang=0))
        self._console.print()

    def _wrapped(self, text: Text, hang: int) -> list[Text]:
        """Return the lines of a text: wrapped on a terminal, one line elsewhere, so that grep finds a sentence."""
        if not self._is_terminal:
            return [text]
        return list(text.wrap(self._console, max(self._console.width - hang, 20)))

    def _laid_out(self, parts: list[Text], hang: int) -> list[Text]:
        """Return lines of parts with two spaces between them; a terminal's width never cuts a part in two."""
        lines = [Text()]
        for part in parts:
            fits = lines[-1].cell_len + 2 + part.cell_len <= self._console.width - hang
            if lines[-1] and self._is_terminal and not fits:
                lines.append(Text())
            lines[-1] = Text("  ").join([lines[-1], part]) if lines[-1] else part
        return lines

    def _print(self, head: Text, lines: list[Text]) -> None:
        """Print lines after a head, those after the first indented by its width."""
        for i, line in enumerate(lines):
            line.rstrip()
            self._console.print(Text.assemble(" " * head.cell_len if i else head, line), soft_wrap=True)


def _badges(row: dict[str, Any]) -> list[Text]:
    """Return a sentence's labels with their probabilities, and notes: needs review, was read in windows."""
    parts = [Text.assemble(_badge(name), f" {row['probabilities'][name]:.2f}") for name in row["labels"]]
    if row["needs_review"]:
        parts.append(Text("review", style="italic"))
    if row["is_truncated"]:
        parts.append(Text("longer than the model reads at once: read in windows", style="italic yellow"))
    return parts


def _nothing(selection: Selection) -> str:
    """Return what to say of an article without a selected sentence."""
    if selection.only_review and not selection.only_tagged:
        return "no sentence needs review"
    return "no sentence carries a reported label" + (" and needs review" if selection.only_review else "")


def _badge(name: str) -> Text:
    """Return a label in its colours."""
    return Text(f" {printable(name)} ", style=label_style(name))
