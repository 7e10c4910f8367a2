#!/bin/sh
# Makes .venv and installs what is pinned for "run", "test" or "export", and for "test" names what
# else is missing. Says nothing when there is nothing to do, and writes nothing outside the checkout.
set -eu
what=$1
cd "$(dirname "$0")/.."
case $what in
run) list=requirements/run.lock ;;
test) list=requirements/test.lock ;;
export) list=requirements/export.txt ;;
*) echo "usage: set_up.sh run|test|export" >&2; exit 2 ;;
esac
[ "$what" = test ] && scripts/test_programs.sh list
stamp=.venv/installed-$what
[ -f "$stamp" ] && cmp -s "$list" "$stamp" && exit 0

export PIP_CACHE_DIR="$PWD/.cache/pip" PIP_DISABLE_PIP_VERSION_CHECK=1
export UV_CACHE_DIR="$PWD/.cache/uv" UV_PYTHON_INSTALL_DIR="$PWD/.cache/python"

has_uv() { command -v uv >/dev/null 2>&1; }

make_environment() {
    if has_uv; then
        uv venv --quiet --python ">=3.11" .venv
        return
    fi
    for python in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
        if "$python" -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; then
            "$python" -m venv .venv && return
            rm -rf .venv
            echo "$python cannot make an environment; on Debian: apt install python3-venv" >&2
            exit 1
        fi
    done
    echo "Feeder needs Python 3.11 or newer; none was found (PYTHON=... names one)." >&2
    exit 1
}

install() {
    if has_uv; then
        uv pip install --quiet --python .venv/bin/python "$@"
    else
        .venv/bin/python -m pip install --quiet "$@"
    fi
}

echo "setting up .venv ($what), once" >&2
[ -x .venv/bin/python ] || make_environment
install -r "$list"
# Without isolation the build uses the pinned hatchling that the list has just brought.
if [ "$what" = export ]; then
    # For the BPE vocabulary inside it, which tests and benchmarks build tokenizers from.
    install --no-deps open_clip_torch==3.3.0
else
    install --no-deps --no-build-isolation --editable .
fi
cp "$list" "$stamp"
