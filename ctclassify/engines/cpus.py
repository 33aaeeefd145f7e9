"""How many CPUs this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

__all__ = ["available_cpus"]

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def available_cpus() -> int:
    """Return the CPUs that affinity and the container's quota leave to this process, at least 1."""
    n_cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(n_cpus, _cgroup_cpus(_QUOTA)))


def _cgroup_cpus(path: Path) -> int:
    """Return the CPUs that a cgroup (version 2) quota allows, rounded up; a huge number where there is none."""
    try:
        quota, period = path.read_text(encoding="ascii").split()
        return math.ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no such file, or "max"
        return 1 << 20
