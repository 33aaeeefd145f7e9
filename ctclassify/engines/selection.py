"""From the name of an engine to the engine."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from threading import Thread

from ctclassify.engines.base import Engine
from ctclassify.errors import EngineError
from ctclassify.model_folder import ModelFolder

__all__ = ["ENGINE_NAMES", "import_ahead", "make_engine"]

ENGINE_NAMES = (
    "auto",
    "openvino",
    "openvino-bf16",
    "openvino-fp32",
    "openvino-int8",
    "torch",
    "torch-cpu",
    "torch-cpu-bf16",
    "torch-cuda",
)
"""What ``engine=`` takes. Without a suffix, an engine chooses its own precision or device."""


def import_ahead(name: str) -> None:
    """Begin to import an engine's runtime in the background, while the model folder is read and checked.

    Parameters
    ----------
    name : str
        As for :func:`make_engine`, which says what is wrong if the import fails.

    Raises
    ------
    EngineError
        If the name is unknown.
    """
    _check_name(name)
    if name == "auto" or name.startswith("openvino"):
        Thread(
            target=_import_quietly, args=("ctclassify.engines.quiet_openvino",), daemon=True, name="ctclassify-import"
        ).start()


def _import_quietly(module: str) -> None:
    """Import a module; whoever needs it meets the error again."""
    with suppress(ImportError):
        import_module(module)


def _check_name(name: str) -> None:
    """Refuse a name that is no engine's."""
    if name not in ENGINE_NAMES:
        raise EngineError(f"unknown engine {name!r}; known engines: {', '.join(ENGINE_NAMES)}")


def make_engine(name: str, folder: ModelFolder) -> Engine:
    """Build an engine for a model folder.

    Parameters
    ----------
    name : str
        One of :data:`ENGINE_NAMES`. ``auto`` is OpenVINO for BERT models, torch for others.
    folder : ModelFolder
        A checked folder.

    Returns
    -------
    Engine

    Raises
    ------
    EngineError
        If the name is unknown, the runtime is not installed, or it cannot run the model.
    """
    _check_name(name)
    if name == "auto":
        name = "openvino" if folder.config.get("model_type") == "bert" else "torch"
    runtime, _, option = name.partition("-")
    # Runtimes are imported here, not above: each costs up to seconds and may be absent.
    if runtime == "openvino":
        from ctclassify.engines.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(folder, option or "auto")
    if find_spec("torch") is None or find_spec("transformers") is None:
        raise EngineError(f"engine {name!r} needs torch and transformers; install the extra [train]")
    from ctclassify.engines.torch_engine import TorchEngine

    return TorchEngine(folder, option or "auto")
