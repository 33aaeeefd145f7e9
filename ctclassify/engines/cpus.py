"""How many CPUs this process may use, and what they are good at."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

__all__ = ["available_cpus", "has_vnni"]

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")
_CPUINFO = Path("/proc/cpuinfo")
_VNNI_FLAGS = frozenset({"avx512_vnni", "avx_vnni"})
_NO_LIMIT = 1 << 20


def available_cpus() -> int:
    """Return the CPUs that are left to this process, at least 1.

    Returns
    -------
    int
        The fewest of: the CPUs of its affinity, the quota of its container (cgroup version 1 or 2, rounded up), and
        ``OMP_NUM_THREADS``, by which frameworks with several workers on one machine tell each its share.
    """
    n_cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(n_cpus, _quota(), _omp_threads()))


def has_vnni() -> bool:
    """Return whether the processor has int8 dot products (VNNI); False where the system does not tell."""
    return not _VNNI_FLAGS.isdisjoint(_flags())


def _flags() -> frozenset[str]:
    """Return what the system says the first processor can do; nothing where it does not tell."""
    try:
        flags = next(line for line in _CPUINFO.read_text(encoding="ascii").splitlines() if line.startswith("flags"))
    except (OSError, ValueError, StopIteration):
        return frozenset()
    return frozenset(flags.split())


def _omp_threads() -> int:
    """Return the first number of ``OMP_NUM_THREADS``; a huge one where there is none."""
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isascii() and first.isdigit() and int(first) > 0 else _NO_LIMIT


def _quota() -> int:
    """Return the CPUs that the quotas of this process's cgroup and of those above it allow, rounded up."""
    folders = _cgroup_folders()
    version_2 = [_cpus_of([folder / "cpu.max"]) for folder in folders]
    version_1 = [_cpus_of([folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us"]) for folder in folders]
    return min(*version_1, *version_2)


def _cgroup_folders() -> list[Path]:
    """Return the folders that may hold a quota for this process, its own and all above it, of either version."""
    folders = {_CGROUPS, _CGROUPS / "cpu"}
    try:
        lines = _OWN_CGROUP.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = _CGROUPS / "cpu" if controllers else _CGROUPS
        own = root / path.lstrip("/")
        folders.update(folder for folder in (own, *own.parents) if folder.is_relative_to(root))
    return sorted(folders)


def _cpus_of(files: Sequence[Path]) -> int:
    """Return the CPUs of the quota and the period that files hold, rounded up; a huge number where there is none."""
    try:
        quota, period = (int(part) for file in files for part in file.read_text(encoding="ascii").split())
        return math.ceil(quota / period) if quota > 0 else _NO_LIMIT
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max"
        return _NO_LIMIT
