"""OpenVINO without its telemetry: the one place where it is imported.

``import openvino`` sends an event to an analytics service through the package ``openvino_telemetry``, from a process of
its own, and leaves files in the user's home. Where that package cannot be imported OpenVINO takes a stub, which does
nothing: it is made to look absent for as long as the import takes.
"""

from __future__ import annotations

import sys

__all__ = ["op", "ov"]

_TELEMETRY = "openvino_telemetry"
_is_hidden = _TELEMETRY not in sys.modules  # a program that has imported it has made its own choice
if _is_hidden:
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
try:
    import openvino as ov
    from openvino import opset13 as op
finally:
    if _is_hidden:
        del sys.modules[_TELEMETRY]
