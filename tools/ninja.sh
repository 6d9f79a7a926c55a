#!/usr/bin/env bash
# Builds targets in a build folder, configuring it first where it is new or its preset changed:
#   tools/ninja.sh build|build-PRESET [target ...]        JOBS=N: so many compilers at once (default: one a processor)
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$1; shift
preset=${folder#build-}
if [[ $folder == build ]]; then
  preset=release
  tools/python_env.sh build/venv build  # the Python package is part of it
fi
if [[ ! $folder/build.ninja -nt CMakePresets.json ]]; then
  cmake --preset "$preset" --log-level=WARNING >/dev/null
  touch "$folder/build.ninja"
fi
quiet=--quiet
[[ ! -t 1 ]] || quiet=
exec ninja -C "$folder" -j "${JOBS:-$(nproc)}" ${quiet:+"$quiet"} "$@"
