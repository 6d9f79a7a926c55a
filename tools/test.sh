#!/usr/bin/env bash
# Everything CI runs, in named and timed sections, stopping at the first that fails:
#   tools/test.sh [section ...]
# Sections are the functions section_<name> below. Each writes build/test-logs/<name>.log and has a limit in minutes; the whole
# run has one too (OXPLOW_TEST_MINUTES, 80). The last section, python, prints
# as it runs and ends with pytest's own summary.
set -euo pipefail
cd "$(dirname "$0")/.."

sections=(layers format build unit tiers gcc asan fuzz tsan arm venv models wheel onnx docs python)
declare -A limit_minutes=([layers]=1 [format]=2 [build]=25 [unit]=15 [tiers]=15 [gcc]=25 [asan]=30 [tsan]=20 [fuzz]=8 [arm]=30 [venv]=15
                         [models]=15 [wheel]=15 [onnx]=6 [docs]=5 [python]=25)
jobs=${JOBS:-$(nproc)}
logs=build/test-logs
venv=build/venv
# Under an emulator the resident set is the emulator's; a sanitizer keeps what was freed.
no_growth=GTEST_FILTER=-Buffer.ManySmallOnesDoNotLeak:Model.EndlessShapesDoNotGrowMemory:Model.PlansShareWeights

# --- what the sections share -------------------------------------------------------------------------------------------------

sources() { git ls-files --cached --others --exclude-standard "$@"; }

# ctest in build folder $1; what follows goes to ctest.
run_ctest() { ctest --test-dir "$1" --parallel "$jobs" --output-on-failure --timeout 600 "${@:2}"; }

# Runs whole test programs, as many at once as there are processors, each through the command before `--`:
# run_programs OXPLOW_ISA=avx2 -- build/tests/graph_test build/tests/ops_test
run_programs() {
  local through=()
  while [[ $1 != -- ]]; do through+=("$1"); shift; done
  shift
  (($#)) || { echo "no test program to run"; return 1; }
  printf '%s\0' "$@" | xargs -0 -P "$jobs" -I{} env GTEST_BRIEF=1 GTEST_COLOR=no "${through[@]}" {}
}

# The paths of test programs in build folder $1 whose name begins with one of the other words; none is a failure.
programs() {
  local folder=$1 found=() word; shift
  for word; do
    local matching=("$folder"/tests/"$word"*_test)
    [[ -x ${matching[0]} ]] || { echo "no test program $folder/tests/${word}*_test" >&2; return 1; }
    found+=("${matching[@]}")
  done
  printf '%s\n' "${found[@]}" | sort -u
}

# --- the sections ------------------------------------------------------------------------------------------------------------

section_layers() { tools/check_layers.py; }

section_format() {
  tools/install.sh format
  sources '*.h' '*.cc' | xargs clang-format-22 --dry-run -Werror
}

section_build() {
  tools/install.sh build
  tools/ninja.sh build
}

section_unit() { run_ctest build; }

# Graph-level tests once per lower tier of this machine (kernels' own tests walk every tier by themselves), and on processors
# that are older, emulated: an instruction of a higher tier that slipped into shared code is an illegal one there.
section_tiers() {
  tools/install.sh arm
  tools/ninja.sh build
  local tiers tier
  tiers=$(build/oxplow doctor --json - | python3 -c 'import json, sys; print(*json.load(sys.stdin)["isa_available"][:-1])')
  for tier in $tiers; do
    echo "tier $tier"
    run_programs OXPLOW_ISA="$tier" -- $(programs build tensor ops graph)
  done
  local processor
  for processor in qemu64 max; do  # SSE only; AVX2, the most that qemu 7 knows
    echo "emulated $processor"
    run_programs "$no_growth" qemu-x86_64 -cpu $processor -- $(programs build base tensor ops)
  done
}

section_gcc() {
  tools/install.sh build
  tools/ninja.sh build-gcc
  run_programs -- $(programs build-gcc "")
}

# The folders that read untrusted bytes and manage memory, and graphs, whose tests run every kernel's family on every tier.
section_asan() {
  tools/install.sh asan
  tools/ninja.sh build-asan base_test formats_test tensor_test ops_test graph_test graph_passes_test graph_import_test
  export ASAN_OPTIONS=strict_string_checks=1:detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1
  run_programs "$no_growth" -- $(programs build-asan base formats tensor ops graph)
}

# The thread pool by itself, and under real graphs.
section_tsan() {
  tools/install.sh asan
  tools/ninja.sh build-tsan base_test tensor_test graph_test
  TSAN_OPTIONS=halt_on_error=1 run_programs "$no_growth" -- $(programs build-tsan base tensor graph)
}

section_fuzz() {
  tools/install.sh fuzz
  tools/ninja.sh build-asan fuzz_targets
  local source name seeds
  for source in $(sources 'oxplow/*_fuzz.cc'); do
    name=$(basename "$source" _fuzz.cc)
    seeds=tests/fuzz/$name
    [[ -d $seeds ]] || { echo "$name has no seeds: $seeds is missing"; return 1; }
    echo "fuzz $name for ${FUZZ_SECONDS:-20} s"
    mkdir -p "build-asan/fuzz/corpus/$name"
    "build-asan/fuzz/${name}_fuzz" -max_total_time="${FUZZ_SECONDS:-20}" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 -verbosity=0 \
      -artifact_prefix="build-asan/fuzz/$name-" "build-asan/fuzz/corpus/$name" "$seeds"
  done
}

section_arm() {
  tools/install.sh arm
  tools/ninja.sh build-arm
  local emulator=(qemu-aarch64 -L /usr/aarch64-linux-gnu) tier
  run_programs "$no_growth" "${emulator[@]}" -cpu max -- $(programs build-arm "")
  for tier in neon neon_dot; do
    echo "tier $tier"
    run_programs "$no_growth" OXPLOW_ISA=$tier "${emulator[@]}" -cpu max -- $(programs build-arm ops graph)
  done
  echo "emulated cortex-a53"
  run_programs "$no_growth" "${emulator[@]}" -cpu cortex-a53 -- $(programs build-arm base ops)
}

section_venv() {
  tools/install.sh demo
  tools/python_env.sh $venv test
}

section_models() { $venv/bin/python tests/models/export.py --conformance --out build/models; }

# The package as pip makes it, in an environment of its own; compiled by what compiled the release, so that the cache has it.
section_wheel() {
  rm -rf build/wheel && mkdir -p build/wheel
  CXX=clang++-22 $venv/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir build/wheel .
  python3 -m venv build/wheel/venv
  build/wheel/venv/bin/python -m pip install --quiet --disable-pip-version-check build/wheel/*.whl
  tests/python/check_wheel.py build/wheel/*.whl build/wheel/venv/bin/python
}

# All of onnx's own tests of backends, and the page about them.
section_onnx() {
  local results=build/onnx_backend/results.json
  $venv/bin/python tests/conformance/onnx_backend/run.py --strict --json $results
  tools/onnx_coverage.py $results --check
}

# The site of the documentation; a link that leads nowhere is a failure.
section_docs() { make docs; }

section_python() {
  $venv/bin/python -m pytest tests -ra --durations=5
}

# --- the runner --------------------------------------------------------------------------------------------------------------

print_table() {
  printf '\n  %-8s %9s\n' section seconds
  local name
  for name in "${done_sections[@]}"; do printf '  %-8s %9d\n' "$name" "${seconds[$name]}"; done
  printf '  %-8s %9d\n\n' all "$SECONDS"
}

# Runs one section under its limit; its output goes to its log, and to the terminal if it is the last one or V=1.
run_section() {
  local name=$1 begin=$SECONDS status=0
  local left=$((${OXPLOW_TEST_MINUTES:-80} * 60 - SECONDS)) limit=$((${limit_minutes[$name]} * 60))
  ((limit < left)) || limit=$((left > 1 ? left : 1))
  local command=(timeout --kill-after=10 "$limit" "$0" --inside "$name")
  if [[ $name == python || ${V:-} == 1 ]]; then
    "${command[@]}" || status=$?
  else
    printf '%-8s ' "$name"
    "${command[@]}" >"$logs/$name.log" 2>&1 || status=$?
    printf '%6d s  %s\n' $((SECONDS - begin)) "$( ((status)) && echo FAILED || echo ok)"
  fi
  seconds[$name]=$((SECONDS - begin))
  done_sections+=("$name")
  ((status)) || return 0
  [[ ! -s $logs/$name.log ]] || { echo; tail -n 150 "$logs/$name.log"; }
  ((status != 124 && status != 137)) || echo "section $name did not end within $limit s"
  print_table
  echo "section $name failed"
  exit 1
}

if [[ ${1:-} == --inside ]]; then
  "section_$2"
  exit
fi
for name; do [[ -n ${limit_minutes[$name]:-} ]] || { echo "test.sh: no section '$name': ${sections[*]}" >&2; exit 2; }; done
(($#)) || set -- "${sections[@]}"
mkdir -p $logs
rm -f $logs/*.log
declare -A seconds=()
done_sections=()
for name; do
  [[ $name != python ]] || (($# == 1)) || print_table
  run_section "$name"
done
