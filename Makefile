# Everyday commands; `make` lists them. Each installs what it needs first (tools/install.sh, a no-op when all is there).
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules
JOBS ?= $(shell nproc)
ARGS ?=
FILTER ?=
VENV := build/venv
SOURCES = $(shell git ls-files '*.h' '*.cc')

.PHONY: help build install check test demo bench bench-kernels arm asan tsan fuzz gcc tiers docs format lint clean distclean

help:  ## this list
	@printf '\n  Oxplow: ONNX models on CPUs\n\n'
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' Makefile | while IFS=$$'\t' read -r name text; do \
	  printf '  \033[1mmake %-14s\033[0m %s\n' "$$name" "$$text"; done
	@printf '\n  README.md begins with two of them: make demo, make test.\n\n'

build: configured  ## the release command, at build/oxplow, and the Python package, at build/python
	@tools/ninja.sh build oxplow python_package

PREFIX ?= /usr/local
install: configured  ## command, library and header into PREFIX (/usr/local)
	@tools/ninja.sh build installable
	@cmake --install build --prefix "$(abspath $(PREFIX))"

check: configured  ## build and unit tests: the inner loop
	@tools/ninja.sh build
	@ctest --test-dir build --parallel $(JOBS) --output-on-failure --progress

test:  ## everything CI runs
	@exec tools/test.sh

demo: build  ## classify photos, then ResNet-50 step by step
	@tools/install.sh demo
	@tools/python_env.sh $(VENV) test
	@$(VENV)/bin/python examples/classify/classify.py
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" examples/ladder/run.sh --json build/ladder.json

bench: build  ## Oxplow and its peers side by side; writes docs/benchmarks.md (ARGS=--help)
	@tools/install.sh bench
	@tools/python_env.sh $(VENV) bench
	@CXX=$${CXX:-g++-12} $(VENV)/bin/python bench/run.py $(ARGS)

bench-kernels: configured  ## each kernel on every tier, one thread (FILTER=gemm_f32: those whose name has it)
	@tools/ninja.sh build benches
	@for program in build/tests/*_bench; do $$program --benchmark_filter='$(FILTER)' $(ARGS); done

gcc asan tsan fuzz arm tiers:
	@exec tools/test.sh $@
gcc:   ## g++ 12 builds everything without a warning; the unit tests of that build
asan:  ## unit tests under the address and undefined behaviour sanitizers
tsan:  ## tests of threads under the thread sanitizer
fuzz:  ## each fuzz target for FUZZ_SECONDS (20)
arm:   ## cross build for 64-bit Arm, unit tests under qemu
tiers: ## tests of graphs on each lower tier, and on older processors, emulated

docs:  ## the site of the documentation, at build/site
	@tools/python_env.sh build/docs-venv docs
	@NO_MKDOCS_2_WARNING=1 build/docs-venv/bin/mkdocs build --strict --quiet

format:  ## clang-format over every source
	@tools/install.sh format
	@clang-format-22 -i $(SOURCES)

lint: configured  ## clang-tidy over every source
	@tools/install.sh lint
	@run-clang-tidy-22 -quiet -p build -j $(JOBS) 'oxplow/.*(?<!isa)\.cc$$' $(ARGS)

clean:  ## removes the builds, keeps the Python environment
	@find build -mindepth 1 -maxdepth 1 ! -name venv -exec rm -rf {} + 2>/dev/null || true
	@rm -rf build-*

distclean:  ## removes everything that was made here
	@rm -rf build build-*

.PHONY: configured
configured:
	@tools/install.sh build
