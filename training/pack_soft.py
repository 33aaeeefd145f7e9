r"""Keep a teacher's probabilities without the sentences, and join them with the texts again.

    python training/pack_soft.py pack --soft training/data/prepared/soft.jsonl \
        --output training/data/corpus/soft.safetensors
    python training/pack_soft.py unpack --packed training/data/corpus/soft.safetensors --text TEXTS.jsonl.gz [...] \
        --output training/data/prepared/soft.jsonl

The packed file holds two tensors, a row a sentence: ``key``, uint8 (n_texts, 8), the first bytes of the SHA-256 of its
UTF-8 text, and ``logit``, int8 (n_texts, n_labels), sixteenths of the logit held within +-7.9 (probabilities 0.0004 to
0.9996); its metadata name the labels. Sentences are found as soft_label.py reads them, with the library's splitter.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from ctclassify.calibration import logits
from ctclassify.errors import CTClassifyError, DataError
from ctclassify.labels import LABEL_IDS
from training.distillation import SoftLabels, read_soft_labels
from training.files import write_text
from training.soft_label import read_sentences

__all__ = ["pack", "unpack"]

_STEPS = 16
_KEY_BYTES = 8


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="from text and probabilities to keys and logits")
    packing.add_argument("--soft", type=Path, nargs="+", required=True, help="files of soft_label.py")
    packing.add_argument("--label-names", nargs="+", default=LABEL_IDS, help="the codebook's unless given")
    packing.add_argument("--output", type=Path, required=True, help="a .safetensors file")
    unpacking = commands.add_parser("unpack", help="join a packed file with the texts")
    unpacking.add_argument("--packed", type=Path, required=True)
    unpacking.add_argument("--text", type=Path, nargs="+", required=True, help="JSON lines with texts, also .gz")
    unpacking.add_argument("--output", type=Path, required=True, help="JSON lines of text and probabilities")
    args = parser.parse_args(argv)
    try:
        if args.command == "pack":
            soft = read_soft_labels(args.soft, args.label_names)
            pack(soft, args.label_names, args.output)
            print(f"saved {args.output}: {len(soft)} sentences")
        else:
            n_found, n_packed = unpack(args.packed, read_sentences(args.text), args.output)
            print(f"saved {args.output}: {n_found} of {n_packed} sentences found")
            if not n_found:
                print("pack_soft: none of the sentences is in the texts", file=sys.stderr)
                return 1
    except (CTClassifyError, OSError) as error:
        print(f"pack_soft: {error}", file=sys.stderr)
        return 2
    return 0


def pack(soft: SoftLabels, label_names: Sequence[str], output: Path) -> None:
    """Write keys and logits of sentences.

    Parameters
    ----------
    soft : SoftLabels
        Texts and probabilities.
    label_names : sequence of str
        The labels, in the order of the columns.
    output : pathlib.Path
        A safetensors file.
    """
    keys = np.array([list(_key(text)) for text in soft.texts], dtype=np.uint8).reshape(len(soft), _KEY_BYTES)
    values = np.clip(np.rint(logits(soft.probabilities) * _STEPS), -127, 127).astype(np.int8)
    save_file({"key": keys, "logit": values}, output, metadata={"label_names": json.dumps(list(label_names))})
    output.chmod(0o644)  # safetensors writes for the owner alone


def unpack(packed: Path, texts: Iterable[str], output: Path) -> tuple[int, int]:
    """Join a packed file with texts.

    Parameters
    ----------
    packed : pathlib.Path
        As :func:`pack` writes it.
    texts : iterable of str
        Sentences; those that are not in the packed file are passed over, each is written once.
    output : pathlib.Path
        JSON lines of ``text`` and ``probabilities``, in the order of ``texts``.

    Returns
    -------
    tuple of int and int
        Sentences written, sentences in the packed file.

    Raises
    ------
    DataError
        If the file is no such safetensors file.
    """
    names, row_of, probabilities = _read(packed)
    lines = []
    for text in dict.fromkeys(texts):
        row = row_of.get(_key(text))
        if row is not None:
            values = {name: round(float(p), 4) for name, p in zip(names, probabilities[row], strict=True)}
            lines.append(json.dumps({"text": text, "probabilities": values}, ensure_ascii=False) + "\n")
    write_text(output, "".join(lines))
    return len(lines), len(row_of)


def _read(packed: Path) -> tuple[list[str], dict[bytes, int], npt.NDArray[np.float64]]:
    """Return label names, row by key, and probabilities of a packed file."""
    try:
        with safe_open(packed, "np") as file:
            names = json.loads((file.metadata() or {})["label_names"])
            keys, values = file.get_tensor("key"), file.get_tensor("logit")
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise DataError(f"not a file of pack_soft.py: {error}", path=packed) from error
    if keys.shape != (len(values), _KEY_BYTES) or values.shape != (len(keys), len(names)):
        raise DataError(f"key is {keys.shape}, logit is {values.shape}, {len(names)} labels; pack it anew", path=packed)
    row_of = {key.tobytes(): i for i, key in enumerate(keys)}
    return names, row_of, 1 / (1 + np.exp(-values.astype(np.float64) / _STEPS))


def _key(text: str) -> bytes:
    """Return the first bytes of a text's SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:_KEY_BYTES]


if __name__ == "__main__":
    sys.exit(main())
