r"""Average the weights of two models of which one was trained on from the other, and save the model between them.

    python training/average_models.py --model BEFORE AFTER --data VALIDATION.jsonl [...] --share 0 0.25 0.5 0.75 1
    python training/average_models.py --model BEFORE AFTER --data VALIDATION.jsonl [...] --share 0.5 --output FOLDER

A model that was taught on with other text gains there and loses a little where it was good; between the two weights lie
models that keep most of both [1]_. Several shares print how each would do on the validation data and write nothing; one
share with ``--output`` saves that model, its calibration and thresholds chosen on the data. How they are chosen is
taken from the two folders where both show the same, and is as in a config without ``[decision]`` where they differ or
do not show it; the options say otherwise. Never give test data.

References
----------
.. [1] Wortsman, Ilharco, Kim, Li, Kornblith, Roelofs, Gontijo-Lopes, Hajishirzi, Farhadi, Namkoong and Schmidt, Robust
   fine-tuning of zero-shot models, CVPR 2022, section 3.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

if __package__ in (None, ""):  # run as a script: the checkout's root makes ``training`` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
from sklearn.metrics import average_precision_score
from transformers import AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from ctclassify.errors import CTClassifyError, DataError, ModelFolderError
from ctclassify.model_folder import ModelFolder, read_model_folder
from ctclassify.torch_model import load_torch_model, torch_config
from training.config import DecisionConfig
from training.data import LabelledSentences, indicator_matrix, read_labelled
from training.decision import check_positives
from training.decision_options import add_decision_options, common_decision, decision_of, given_options
from training.files import write_text
from training.finite import check_weights
from training.provenance import describe_files, describe_software
from training.saving import predict_proba_torch, save_model_folder

__all__ = ["average_weights"]


def main(argv: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, nargs=2, required=True, metavar=("BEFORE", "AFTER"), help="model folders")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="labelled JSON lines; never test data")
    parser.add_argument("--share", type=float, nargs="+", required=True, help="of AFTER in the average, 0 to 1")
    parser.add_argument("--output", type=Path, help="a folder that is not there yet, for one share")
    add_decision_options(parser, otherwise="that of both models unless given; {} where they differ")
    args = parser.parse_args(argv)
    disable_progress_bar()
    try:
        _check_options(args)
        before, after = map(read_model_folder, args.model)
        _check_pair(before, after)
        model = load_torch_model(before.path, torch_config(before.config)).eval()
        first = {name: value.clone() for name, value in model.state_dict().items()}
        second = load_torch_model(after.path, torch_config(after.config)).state_dict()
        for folder, weights in ((before, first), (after, second)):
            check_weights(weights, folder.path, remedy="train it anew with a lower one")
        how = decision_of({**common_decision(before.manifest, after.manifest), **given_options(args)}, path=before.path)
        tokenizer = AutoTokenizer.from_pretrained(before.path, trust_remote_code=False, local_files_only=True)
        if args.output is None:
            sets = [_read((path,), before) for path in args.data]
            for share in args.share:
                model.load_state_dict(average_weights(first, second, share))
                _print_quality(share, args.data, sets, model, tokenizer, before)
            return 0
        sentences = _read(args.data, before)
        check_positives(sentences, before.label_names, path=args.data[0])
        model.load_state_dict(average_weights(first, second, args.share[0]))
        figures = save_model_folder(args.output, model, tokenizer, sentences, before.label_names, how)
        _write_record(args.output, (before, after), args.share[0], args.data, figures, how)
    except (CTClassifyError, OSError) as error:
        print(f"average_models: {error}", file=sys.stderr)
        return 2
    print(
        f"chosen for {how.objective}, calibration {how.calibration}, review precision {how.review_precision or 'none'}"
    )
    print(f"validation, thresholds tuned on it: micro-F1 {figures['micro_f1']}, macro-F1 {figures['macro_f1']}")
    print(f"saved {args.output}")
    return 0


def average_weights(
    before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor], share: float
) -> dict[str, torch.Tensor]:
    """Return the weights that lie between two models.

    Parameters
    ----------
    before, after : mapping of str to torch.Tensor
        Weights of the same names and shapes.
    share : float
        Of ``after``: 0 gives ``before``, 1 gives ``after``.

    Returns
    -------
    dict of str to torch.Tensor
        ``(1 - share) * before + share * after``, in the order and dtype of ``before``; whole numbers, such as position
        ids, as they are in ``before``.
    """
    return {
        name: torch.lerp(value, after[name].to(value.dtype), share) if value.is_floating_point() else value
        for name, value in before.items()
    }


def _check_options(args: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    if any(not 0 <= share <= 1 for share in args.share):
        raise DataError(f"--share {args.share}: expected numbers from 0 to 1", path=args.model[0])
    if args.output is None:
        return
    if len(args.share) != 1:
        raise DataError(f"--output takes one --share, got {args.share}; leave it out to compare", path=args.output)
    if args.output.exists():
        raise FileExistsError(f"{args.output} exists already; name a folder that does not")


def _check_pair(before: ModelFolder, after: ModelFolder) -> None:
    """Refuse models whose weights do not mean the same, place by place."""
    keys = ("architectures", "model_type", "num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size")
    found = [key for key in keys if before.config.get(key) != after.config.get(key)]
    if before.label_names != after.label_names:
        found.append("labels")
    if before.checksums["tokenizer.json"] != after.checksums["tokenizer.json"]:
        found.append("tokenizer.json")
    if found:
        message = f"differs from {before.path} in {', '.join(found)}; expected two stages of one model"
        raise ModelFolderError(f"{after.path} {message}", path=after.path)


def _read(paths: Sequence[Path], folder: ModelFolder) -> LabelledSentences:
    """Read validation files, which must hold something."""
    sentences = read_labelled(tuple(paths), folder.label_names)
    if not len(sentences):
        raise DataError("no sentence to score on", path=paths[0])
    return sentences


def _print_quality(
    share: float,
    paths: Sequence[Path],
    sets: Sequence[LabelledSentences],
    model: Any,
    tokenizer: Any,
    folder: ModelFolder,
) -> None:
    """Print a model's average precision, which needs no thresholds, on each validation file."""
    for path, sentences in zip(paths, sets, strict=True):
        y_score = predict_proba_torch(model, tokenizer, sentences.texts, max_length=folder.max_tokens)
        y_true = indicator_matrix(sentences.labels, folder.label_names)
        seen = y_true.any(0)
        if not seen.any():
            raise DataError("no sentence with a label, so nothing to rank", path=path)
        micro = average_precision_score(y_true.ravel(), y_score.ravel())
        macro = average_precision_score(y_true[:, seen], y_score[:, seen], average="macro")
        print(f"share {share:g}: average precision micro {micro:.4f}, macro {macro:.4f} on {path}", flush=True)


def _write_record(
    output: Path,
    folders: tuple[ModelFolder, ModelFolder],
    share: float,
    data: Sequence[Path],
    figures: Mapping[str, float | None],
    how: DecisionConfig,
) -> None:
    """Write beside the weights what they are an average of."""
    weights = [describe_files([folder.path / "model.safetensors"])[0] for folder in folders]
    record = {
        "averaged": dict(zip(("before", "after"), weights, strict=True)),
        "share_of_after": share,
        "decision": how.model_dump(mode="json"),
        "validation_files": describe_files(data),
        "validation": dict(figures),
        **describe_software(),
    }
    write_text(output / "training.json", json.dumps(record, indent=2, allow_nan=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
