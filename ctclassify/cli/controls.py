"""Text from outside that is shown on a terminal must not steer it."""

from __future__ import annotations

import re

__all__ = ["escape_controls"]

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def escape_controls(text: str) -> str:
    """Return a text with U+FFFD for control and direction characters and lone surrogates; tabs and new lines stay."""
    return _CONTROL.sub("\ufffd", text)
