"""Kill, starve and mislead runs over a corpus, and compare what is left with a run that nothing happened to.

    python scripts/soak_corpus.py --kills 200 --every-step

Prints one line a check and, with ``--output FILE``, writes the figures as JSON. Exit code 1 where a check fails. The
full disk and the read-only disk are small file systems in memory, which need root; without, these checks say that they
were left out.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from corpus_articles import jsonl_lines

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.corpus_malformed import MALFORMED_JSONL, jsonl_with_faults  # noqa: E402
from tests.corpus_stub import snapshot  # noqa: E402

_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def command(source: Path, out: Path, *more: str) -> list[str]:
    """Return the command of a run of small parts with the shipped model."""
    start = [sys.executable, "-m", "ctclassify", "tag-corpus", str(source), "--out", str(out), "--quiet"]
    return [*start, "--part-articles", "40", *more]


def run(source: Path, out: Path, *more: str) -> int:
    """Run to the end; return the exit code."""
    return subprocess.run(command(source, out, *more), env=_ENVIRONMENT, check=False, capture_output=True).returncode


def check_kills(folder: Path, source: Path, expected: dict[str, bytes], n_kills: int, seed: int) -> dict[str, Any]:
    """Kill runs at random moments until enough were killed; every finished output must be the expected one."""
    rng = random.Random(seed)
    n_killed = n_finished = n_same = 0
    began = time.monotonic()
    run(source, folder / "timed")
    whole = time.monotonic() - began
    while n_killed < n_kills:
        out = folder / f"killed-{n_finished}"
        process = subprocess.Popen(command(source, out), env=_ENVIRONMENT, stderr=subprocess.DEVNULL)
        try:
            # From before the model is loaded to about two thirds of a whole run.
            process.wait(timeout=rng.uniform(0.1, 0.66 * whole))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            n_killed += 1
            continue
        n_finished += 1
        n_same += snapshot(out) == expected
    run(source, folder / f"killed-{n_finished}")
    n_same += snapshot(folder / f"killed-{n_finished}") == expected
    n_finished += 1
    return {"ok": n_same == n_finished, "n_kills": n_killed, "n_finished": n_finished, "n_same": n_same}


def check_every_step(folder: Path, source: Path) -> dict[str, Any]:
    """Kill a run with a stand-in for the model before every single change of the disk."""
    lines = source.read_bytes().splitlines(keepends=True)[:11]
    small = folder / "small.jsonl"
    small.write_bytes(b"".join([*lines[:2], b"{broken\n", *lines[2:5], lines[0], *lines[5:]]))
    stub = [sys.executable, str(ROOT / "tests" / "corpus_stub.py"), str(small)]

    def call(out: Path, kill_at: int) -> int:
        arguments = [*stub, str(out), "parquet", str(kill_at)]
        return subprocess.run(arguments, env=_ENVIRONMENT, check=False, capture_output=True).returncode

    call(folder / "step-0", 0)
    expected = snapshot(folder / "step-0")
    n_steps = n_same = 0
    while True:
        out = folder / f"step-{n_steps + 1}"
        if call(out, n_steps + 1) == 0:
            return {"ok": n_steps > 0 and n_same == n_steps, "n_steps": n_steps, "n_same": n_same}
        n_steps += 1
        call(out, 0)
        n_same += snapshot(out) == expected


def check_full_disk(folder: Path, source: Path, expected: dict[str, bytes]) -> dict[str, Any]:
    """Fill a small disk, make room bit by bit, go on."""
    disk = folder / "disk"
    disk.mkdir()
    if not _mount(disk, "size=96k"):
        return {"ok": True, "left_out": "a file system in memory needs root"}
    codes = []
    try:
        for size in ("96k", "128k", "160k", "200k", "256k", "320k", "64M"):
            subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)
            codes.append(run(source, disk / "run"))
        same = snapshot(disk / "run") == expected
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    return {"ok": same and codes[0] == 4 and codes[-1] == 0, "exit_codes": codes}


def check_read_only(folder: Path, source: Path) -> dict[str, Any]:
    """Write to a disk that takes nothing."""
    disk = folder / "read-only"
    disk.mkdir()
    if not _mount(disk, "size=64k,ro"):
        return {"ok": True, "left_out": "a file system in memory needs root"}
    try:
        code = run(source, disk / "run")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    return {"ok": code == 4, "exit_code": code}


def _mount(path: Path, options: str) -> bool:
    """Mount a file system in memory; return whether that is permitted."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=False, capture_output=True)
    return done.returncode == 0


def check_changed_input(folder: Path, source: Path) -> dict[str, Any]:
    """Change an input between two starts."""
    copy = folder / "changing.jsonl"
    copy.write_bytes(source.read_bytes())
    process = subprocess.Popen(command(copy, folder / "changed"), env=_ENVIRONMENT, stderr=subprocess.DEVNULL)
    while not list((folder / "changed").glob("_work/commits/part-*.json")) and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.wait()
    copy.write_bytes(source.read_bytes().replace(b"Arden", b"Ardon", 1))
    code = run(copy, folder / "changed")
    return {"ok": code == 6, "exit_code": code}


def check_malformed(folder: Path) -> dict[str, Any]:
    """Find every one of 10,000 malformed records of all kinds again."""
    data, expected, n_good = jsonl_with_faults(10_000, 40)
    (folder / "malformed.jsonl").write_bytes(data)
    code = run(folder / "malformed.jsonl", folder / "malformed")
    lines = (folder / "malformed" / "rejected.jsonl").read_text().splitlines()
    found = [(row["row"], row["reason"]) for row in map(json.loads, lines)]
    counts = json.loads((folder / "malformed" / "manifest.json").read_text())["counts"]
    is_whole = found == expected and counts["n_articles"] == n_good and counts["n_items"] == n_good + len(expected)
    return {"ok": is_whole and code == 1, "n_records": len(found), "n_kinds": len(MALFORMED_JSONL), "exit_code": code}


def main() -> int:
    """Run the checks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--articles", type=int, default=600, help="of the corpus that is killed")
    parser.add_argument("--every-step", action="store_true", help="kill before every change of the disk, too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = folder / "in.jsonl"
        source.write_bytes(b"".join(jsonl_lines(options.articles)))
        run(source, folder / "whole")
        expected = snapshot(folder / "whole")
        checks: dict[str, Callable[[], dict[str, Any]]] = {
            "malformed records": lambda: check_malformed(folder),
            "changed input": lambda: check_changed_input(folder, source),
            "read-only disk": lambda: check_read_only(folder, source),
            "full disk": lambda: check_full_disk(folder, source, expected),
            "kills": lambda: check_kills(folder, source, expected, options.kills, options.seed),
        }
        if options.every_step:
            checks["kills at every step"] = lambda: check_every_step(folder, source)
        results = {}
        for name, check in checks.items():
            results[name] = check()
            print(name, json.dumps(results[name]), flush=True)
    if options.output:
        options.output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0 if all(result["ok"] for result in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
