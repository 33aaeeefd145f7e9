"""Imports run in one direction: the table in CONTRIBUTING.md, kept."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ctclassify"


def rows() -> dict[str, int]:
    """Return the row of each module in CONTRIBUTING.md's table."""
    table = {}
    for line in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines():
        match = re.match(r"\| (\d+) \| ([^|]+) \|", line)
        if match:
            table.update({name: int(match[1]) for name in re.findall(r"`([\w.]+)`", match[2])})
    return table


def modules() -> dict[str, Path]:
    """Return every module but the packages' own files, which only re-export, and ``__main__``."""
    files = [path for path in PACKAGE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py")]
    return {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in files}


def imported(path: Path) -> set[str]:
    """Return the ctclassify modules that a file imports anywhere, ``training`` among them if it does."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            names.add(node.module or "")
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return {name for name in names if name.split(".")[0] in ("ctclassify", "training")}


def test_the_table_lists_exactly_the_modules():
    assert sorted(rows()) == sorted(modules())


@pytest.mark.parametrize("name", sorted(modules()))
def test_a_module_imports_from_rows_above_only(name):
    table = rows()
    for target in imported(modules()[name]):
        assert target.startswith("ctclassify."), f"{name} imports {target}"
        assert table[target.removeprefix("ctclassify.")] < table[name], f"{name} imports {target}"
