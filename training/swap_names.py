r"""Write sentences again with other nationalities and religions, and the same targets.

    python training/swap_names.py --soft training/data/prepared/soft.jsonl --output training/data/prepared/swapped.jsonl

The codebook's labels rest on what a sentence says and on no knowledge beside it, so a Kenyan minister's visit is
labelled as a Danish one's. Counterfactual data augmentation [1]_: of the sentences with a word of
data/lexicons/swaps.json, a share is written again with another word of the same kind for each, the same everywhere in
the sentence, and keeps the probabilities of the original. A word that stands in a name ("Muslim Brotherhood", "South
Korean") is left alone.

References
----------
.. [1] Lu, Mardziel, Wu, Amancharla and Datta, Gender Bias in Neural Natural Language Processing, 2018.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ctclassify.errors import CTClassifyError, DataError
from ctclassify.tokenization import without_surrogates
from training.files import read_json_object, read_lines, write_text

__all__ = ["swap"]

LEXICON = Path(__file__).resolve().parent / "data" / "lexicons" / "swaps.json"
_VOWELS = "AEIOU"
_CONSONANT_SOUNDS = ("Ug", "Uk")
"""Words that start with a vowel and take ``a``."""
_NO_PLURAL = ("ese", "sh", "ch", "ss", "i")
"""Endings whose words take no plural ``s``."""
_MODIFIERS = ("North", "South", "East", "West", "Northern", "Southern", "Eastern", "Western", "New", "Great")
"""Words that make a name of what follows, also at the start of a sentence."""


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soft", type=Path, nargs="+", required=True, help="files of soft_label.py")
    parser.add_argument("--output", type=Path, required=True, help="JSON lines of the same form")
    parser.add_argument("--share", type=float, default=0.5, help="of the sentences with such a word")
    parser.add_argument("--seed", type=int, default=13)
    args = parser.parse_args(argv)
    try:
        kinds = {name: tuple(words) for name, words in read_json_object(LEXICON).items()}
        rng = random.Random(args.seed)
        lines = []
        for path in args.soft:
            for line_number, line in read_lines(path):
                try:
                    row = json.loads(line)
                    swapped = swap(without_surrogates(row["text"]), kinds, rng)
                except (ValueError, TypeError, KeyError, AttributeError) as error:
                    message = f'expected an object with "text" ({error!r})'
                    raise DataError(message, path=path, line_number=line_number) from error
                if swapped is not None and rng.random() < args.share:
                    lines.append(json.dumps({**row, "text": swapped}, ensure_ascii=False) + "\n")
        write_text(args.output, "".join(lines))
    except (CTClassifyError, OSError) as error:
        print(f"swap_names: {error}", file=sys.stderr)
        return 2
    print(f"saved {args.output}: {len(lines)} sentences")
    return 0


def swap(text: str, kinds: Mapping[str, Sequence[str]], rng: random.Random) -> str | None:
    """Replace each word of a lexicon by another of its kind.

    Parameters
    ----------
    text : str
        A sentence.
    kinds : mapping of str to sequence of str
        Capitalised words by kind.
    rng : random.Random
        Chooses the other words.

    Returns
    -------
    str or None
        The sentence with each word replaced everywhere by one and the same other, no two by the same; ``a`` and ``an``
        follow, a plural ``s`` stays. None where no word can be replaced.
    """
    original = text
    for words in kinds.values():
        matches = [match for match in _pattern(words).finditer(text) if _is_free(text, match)]
        found = sorted({match["word"] for match in matches})
        others = [word for word in words if word not in text]
        if any(match["plural"] for match in matches):
            others = [word for word in others if not word.endswith(_NO_PLURAL)]
        if not found or len(others) < len(found):
            continue
        new = dict(zip(found, rng.sample(others, len(found)), strict=True))

        def replaced(match: re.Match[str], new: Mapping[str, str] = new) -> str:
            if match["word"] not in new or not _is_free(match.string, match):
                return match[0]
            word = new[match["word"]]
            article = match["article"] or ""
            if article:
                sounds_open = word[0] in _VOWELS and not word.startswith(_CONSONANT_SOUNDS)
                start = article[0] + ("n" if sounds_open else "")
                article = start + article.lstrip("aAn")
            return article + word + (match["plural"] or "")

        text = _pattern(words).sub(replaced, text)
    return text if text != original else None


def _pattern(words: Sequence[str]) -> re.Pattern[str]:
    """Return what finds one of some words, with the article before it."""
    return re.compile(rf"(?P<article>\b[Aa]n?\s+)?\b(?P<word>{'|'.join(map(re.escape, words))})(?P<plural>s)?\b")


def _is_free(text: str, match: re.Match[str]) -> bool:
    """Return whether a word stands in no name: no capitalised word or hyphen touches it."""
    before = re.search(r"(\S+)\s*$", text[: match.start("word")])
    after = re.match(r"\s*(\S+)", text[match.end() :])
    is_joined = text[match.start("word") - 1 : match.start("word")] == "-" or text[match.end() : match.end() + 1] == "-"
    leads_name = after is not None and after[1][0].isupper()
    follows_name = before is not None and (
        before[1] in _MODIFIERS
        or (before.start(1) > 0 and before[1][0].isupper() and before[1] not in ("A", "An", "The"))
    )
    return not (is_joined or follows_name or leads_name)


if __name__ == "__main__":
    sys.exit(main())
