"""Records that no reader may accept and none may lose: a generator of each kind."""

from __future__ import annotations

import json
from collections.abc import Callable

__all__ = ["MALFORMED_JSONL", "jsonl_with_faults"]

MALFORMED_JSONL: dict[str, tuple[Callable[[int], bytes], str]] = {
    "cut off": (lambda i: b'{"id": "c%d", "text": "A bomb' % i, "bad_json"),
    "no quotes": (lambda i: b"{id: c%d, text: A bomb}" % i, "bad_json"),
    "single quotes": (lambda i: b"{'id': 'c%d', 'text': 'A bomb'}" % i, "bad_json"),
    "two objects": (lambda i: b'{"id": "c%d", "text": "a"} {"id": "d", "text": "b"}' % i, "bad_json"),
    "trailing comma": (lambda i: b'{"id": "c%d", "text": "A bomb",}' % i, "bad_json"),
    "bare control": (lambda i: b'{"id": "c%d", "text": "A\x01bomb"}' % i, "bad_json"),
    "too deep": (lambda i: b"[" * 20_000 + b"]" * 20_000, "bad_json"),
    "nul bytes": (lambda i: b"\x00" * 40, "bad_json"),
    "a sentence": (lambda i: b"A bomb went off near the bridge %d." % i, "bad_json"),
    "markup": (lambda i: b"<p>item %d</p>" % i, "bad_json"),
    "array": (lambda i: json.dumps([f"c{i}", "A bomb"]).encode(), "not_an_object"),
    "string": (lambda i: json.dumps(f"A bomb {i}").encode(), "not_an_object"),
    "null": (lambda i: b"null", "not_an_object"),
    "latin-1": (lambda i: f'{{"id": "c{i}", "text": "Une bombe près du pont"}}'.encode("latin-1"), "undecodable"),
    "utf-16": (lambda i: b"\xff\xfe" + '{"id": "c", "text": "bomb"}'.encode("utf-16-le"), "undecodable"),
    "no text": (lambda i: b'{"id": "c%d"}' % i, "missing_text"),
    "null text": (lambda i: b'{"id": "c%d", "text": null}' % i, "missing_text"),
    "number for text": (lambda i: b'{"id": "c%d", "text": %d}' % (i, i), "text_not_a_string"),
    "list for text": (lambda i: b'{"id": "c%d", "text": ["A bomb"]}' % i, "text_not_a_string"),
    "blank text": (lambda i: b'{"id": "c%d", "text": " \\n\\t "}' % i, "blank_text"),
    "no id": (lambda i: b'{"text": "A bomb went off."}', "missing_id"),
    "list for id": (lambda i: b'{"id": ["c%d"], "text": "A bomb went off."}' % i, "bad_id"),
    "half a pair": (lambda i: b'{"id": "c%d", "text": "A bomb \\ud83d went off."}' % i, "lone_surrogate"),
    "repeated id": (lambda i: b'{"id": "good-0", "text": "A bomb went off again."}', "duplicate_id"),
}
"""What the line is like: a function of a number to the line, and the reason that is due."""


def jsonl_with_faults(n_faults: int, good_every: int) -> tuple[bytes, list[tuple[int, str]], int]:
    """Return lines with faults of every kind in turn, the place and reason of each, and how many lines are good.

    A good line comes first and after every ``good_every`` faults.
    """
    kinds = list(MALFORMED_JSONL.values())
    lines, expected, n_good = [], [], 0
    for i in range(n_faults):
        if i % good_every == 0:
            lines.append(json.dumps({"id": f"good-{n_good}", "text": f"Item {n_good}: the court met."}).encode())
            n_good += 1
        make, reason = kinds[i % len(kinds)]
        lines.append(make(i))
        expected.append((len(lines), reason))
    return b"\n".join(lines) + b"\n", expected, n_good
