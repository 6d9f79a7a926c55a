#!/usr/bin/env bash
# ResNet-50 from plain loops to the finished engine, step by step. Arguments go to ladder.py.
set -euo pipefail
cd "$(dirname "$0")/../.."
python3 tests/models/export.py resnet50 --out build/models >/dev/null
exec python3 examples/ladder/ladder.py "$@"
