#!/usr/bin/env bash
# Installs what a task needs on Debian 12, from Debian's own archives (clang 22 comes from the security archive, which a
# fresh Debian 12 has enabled):
#   tools/install.sh [build|test|demo|bench|arm|asan|fuzz|format|lint|dev] ...
# Says nothing and takes milliseconds when all is there. OXPLOW_NO_INSTALL=1 turns it off.
set -euo pipefail

packages_of() {
  local python="python3 python3-venv ca-certificates"
  local build="clang-22 lld-22 g++-12 cmake ninja-build ccache libgtest-dev libgmock-dev libbenchmark-dev libcli11-dev
               nlohmann-json3-dev $python python3-dev"
  local sanitizers="libclang-rt-22-dev llvm-22"
  local arm="g++-12-aarch64-linux-gnu qemu-user googletest"
  case $1 in
    build) echo "$build" ;;
    demo | bench) echo "$build" ;;
    arm) echo "$build $arm" ;;
    asan | fuzz) echo "$build $sanitizers" ;;
    format) echo "clang-format-22 git" ;;
    lint) echo "$build clang-tidy-22" ;;
    test) echo "$build $sanitizers $arm clang-format-22 git" ;;
    dev) echo "$(packages_of test) clang-tidy-22 clangd-22 pre-commit gdb" ;;
    *) echo "install.sh: unknown task '$1'" >&2; exit 2 ;;
  esac
}

installed() { dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p'; }
missing() { comm -23 <(printf '%s\n' "$@" | sort -u) <(installed "$@" | sort -u); }

give_up() {
  echo "install.sh: $1" >&2
  echo "install.sh: needed: ${want[*]}" >&2
  echo "install.sh: install these in your own way and set OXPLOW_NO_INSTALL=1 to go on" >&2
  exit 1
}

install_missing() {
  local apt=(apt-get -o DPkg::Lock::Timeout=600 -qq) root=()
  if ((EUID != 0)); then
    command -v sudo >/dev/null || give_up "this user may not install packages: run as root: apt-get install ${want[*]}"
    root=(sudo)
  fi
  echo "install.sh: installing ${want[*]}"
  local install=("${root[@]}" env DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends "${want[@]}")
  # Package lists that are there are tried first; they may be absent (a fresh container) or outdated (a 404).
  if apt-cache show "${want[@]}" >/dev/null 2>&1 && "${install[@]}" >/dev/null 2>&1; then return; fi
  "${root[@]}" "${apt[@]}" update || give_up "apt-get update failed: is the network there?"
  "${install[@]}" >/dev/null || give_up "apt-get could not install the packages; clang 22 is in Debian 12's security archive
(deb http://deb.debian.org/debian-security bookworm-security main)"
}

[[ ${OXPLOW_NO_INSTALL:-} != 1 ]] || exit 0
all=()
for task in "${@:-build}"; do
  list=$(packages_of "$task")
  read -ra names -d '' <<<"$list" || true
  all+=("${names[@]}")
done
if ! command -v dpkg-query >/dev/null; then want=("${all[@]}"); give_up "this machine has no dpkg: only Debian's packages are known here"; fi
mapfile -t want < <(missing "${all[@]}")
((${#want[@]} == 0)) || install_missing
