r"""Cut parts out of sentences, for a teacher to label: short plain text that a student sees too seldom.

    python training/cut_clauses.py --soft training/data/prepared/soft.jsonl --output clauses.jsonl
    python training/soft_label.py --model TEACHER --text clauses.jsonl \
        --output training/data/prepared/soft_clauses.jsonl

Of each sentence that has parts, one is drawn (``--all`` takes them all: what ``pack_soft.py unpack`` looks up must not
hang on which sentences were found): what stands between two marks (comma, semicolon, colon, dash, or a
conjunction), with or without its neighbour, of at least five words and shorter than the sentence. The teacher gives the
part its own probabilities: those of the whole would be wrong for it.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
from pathlib import Path

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ctclassify.errors import CTClassifyError
from training.files import write_text
from training.soft_label import read_sentences

__all__ = ["parts"]

_MARK = re.compile(
    r"[,;:]\s+(?:(?:and|but|or|so|while|who|which|where|when|after|before|as)\s+)?"
    r"|\s+[-\u2013\u2014]+\s+|\s+(?:and|but|while|after|before|because|although|when|where|who|which|that)\s+"
)
_LEAST_WORDS = 5


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soft", type=Path, nargs="+", required=True, help="JSON lines with texts, as soft_label.py's")
    parser.add_argument("--output", type=Path, required=True, help="JSON lines of text, one part a line")
    parser.add_argument("--seed", type=int, default=13, help="of the choice; 13 unless given")
    parser.add_argument("--all", action="store_true", help="write every part of every sentence, draw none")
    args = parser.parse_args(argv)
    rng = random.Random(args.seed)
    try:
        texts = list(dict.fromkeys(read_sentences(args.soft)))
        known = set(texts)
        found = [of_text for of_text in map(parts, texts) if of_text]
        drawn = [part for of_text in found for part in of_text] if args.all else [rng.choice(each) for each in found]
        chosen = [text for text in dict.fromkeys(drawn) if text not in known]
        # "labels" says that a line is one sentence as it stands; soft_label.py reads no label.
        write_text(args.output, "".join(json.dumps({"text": t, "labels": []}) + "\n" for t in chosen))
    except (CTClassifyError, OSError) as error:
        print(f"cut_clauses: {error}", file=sys.stderr)
        return 2
    print(f"saved {args.output}: {len(chosen)} parts of {len(texts)} sentences")
    return 0


def parts(text: str) -> list[str]:
    """Return the parts of a sentence.

    Parameters
    ----------
    text : str
        A sentence.

    Returns
    -------
    list of str
        In order, each of at least five words, starting with a capital and ending with a full stop; first the single
        stretches between marks, then each with the one after it. Empty where the sentence has no mark.
    """
    marks = [(0, 0), *((m.start(), m.end()) for m in _MARK.finditer(text)), (len(text), len(text))]
    found = []
    for width in (1, 2):
        for i in range(len(marks) - width):
            start, end = marks[i][1], marks[i + width][0]
            part = text[start:end].strip(" \"'\u201c\u201d\u2018\u2019.,;:()")
            if len(part.split()) >= _LEAST_WORDS and end - start < len(text.rstrip()) - 1:
                found.append(part[0].upper() + part[1:] + ".")
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    sys.exit(main())
