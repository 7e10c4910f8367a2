#!/bin/sh
# Pins every dependency, with digests, for every system and Python the project supports.
set -eu
cd "$(dirname "$0")/.."
pin() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate --no-emit-index-url pyproject.toml --group build "$@"
}
pin -c requirements/constraints.in -o requirements/run.lock "$@"
pin --group test --group check --extra train -c requirements/run.lock \
    -o requirements/test.lock "$@"
