# Sourced by the other scripts: makes .venv and installs into it what is asked for, once for each state of pyproject.toml.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$root/.venv"

# ensure_environment light   the library alone, without torch
# ensure_environment dev     with training, tests and checks, CPU torch first
ensure_environment() {
    local kind=$1 wanted
    wanted=$(cksum <"$root/pyproject.toml")
    if [ "$(cat "$venv/.dev" 2>/dev/null)" = "$wanted" ]; then return; fi
    if [ "$kind" = light ] && [ "$(cat "$venv/.light" 2>/dev/null)" = "$wanted" ]; then return; fi

    local python=${PYTHON:-python3}
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "ctclassify needs Python 3.11 or newer; name one with PYTHON=/path/to/python $0" >&2
        return 2
    }
    echo "Setting up $venv ($kind), once ..." >&2
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
    if [ "$kind" = dev ]; then
        # Before the rest, so that where pip finds a CPU build of this release, no dependency pulls in one for GPUs,
        # which is gigabytes large. Elsewhere PIP_INDEX_URL or PIP_FIND_LINKS may name a place that has it.
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "torch==2.13.0" >&2
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$root[dev]" >&2
    else
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$root" >&2
    fi
    echo "$wanted" >"$venv/.$kind"
}
