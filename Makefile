# The few things there are to make; CMake does the work (CMakeLists.txt, CMakePresets.json).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
BUILD := build
DATA := $(BUILD)/data
# Ninja for a new build folder when it is there; a folder that exists keeps its generator.
configure = [ -e $(2)/CMakeCache.txt ] || cmake --preset $(1) $$(command -v ninja >/dev/null && echo -G Ninja) >$(2).log 2>&1 || { cat $(2).log >&2; exit 1; }; rm -f $(2).log
JOBS := $(shell nproc 2>/dev/null || echo 2)
PREFIX ?= /usr/local
WEIGHTS ?= weights

.PHONY: help packages build demo test test-asan update models bench weights format clean install

help: ## this list
	@echo 'seqc: an ahead-of-time compiler for sequence models. There is to make:'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20

build: ## the compiler build/seqc, libseqrt and the examples; installs nothing
	@tools/install-packages --check
	@$(call configure,release,$(BUILD))
	@cmake --build $(BUILD) -j $(JOBS)

demo: packages build $(DATA)/kjv.txt ## compile an LSTM, train it on English text for a few minutes, let it write
	@$(BUILD)/examples/char_lm/char_lm $(DATA)/kjv.txt $(BUILD)/weights.safetensors

test: packages build ## set up, build and run the whole suite, the front of it under the sanitizers too
	@$(call configure,asan,$(BUILD)-asan)
	@cmake --build $(BUILD)-asan -j $(JOBS)
	@mkdir -p $(BUILD)/all-tests
	@printf 'subdirs("%s" "%s")\n' '$(CURDIR)/$(BUILD)' '$(CURDIR)/$(BUILD)-asan' >$(BUILD)/all-tests/CTestTestfile.cmake
	@ctest --test-dir $(BUILD)/all-tests -j $(JOBS) --output-on-failure

update: build ## rewrite what the file tests expect (look at the difference before you keep it)
	@SEQC=$(BUILD)/seqc tests/run --update

# make bench ONLY='gemm|lstm' JSON=FILE SVG=FILE PEERS=FOLDER THREADS=1,2 SECONDS_IN_ALL=540 OPTIONS='-O3'; docs/benchmarks.md
PEERS ?= $(BUILD)/peers
JSON ?= $(BUILD)/bench.json
SVG ?= $(BUILD)/bench.svg
models: build ## docs/models.md: every model with the class of its recurrences, its state and its largest errors
	@tools/models-table >docs/models.md.part
	@mv docs/models.md.part docs/models.md

bench: packages build ## times of kernels and models beside the machine's own limits and beside peers; ONLY=PATTERN JSON=FILE
	@$(BUILD)/tests/bench/bench --only '$(value ONLY)' --json '$(JSON)' --svg '$(SVG)' --peers '$(PEERS)' \
	  $(if $(OPTIONS),--options '$(OPTIONS)') $(if $(THREADS),--threads $(THREADS)) $(if $(SECONDS_IN_ALL),--seconds $(SECONDS_IN_ALL))

weights: build ## fetch trained weights (200 MB, from packages) for tests that are skipped without them
	@tools/fetch-weights $(WEIGHTS) $(BUILD)

format: ## indent the sources (clang-format 19)
	@clang-format-19 -i $$(git ls-files '*.c' '*.h')

clean: ## remove everything that was built
	@rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-dev

install: build ## into PREFIX (/usr/local): compiler, libseqrt, headers, standard library, man page
	@cmake --install $(BUILD) --prefix $(PREFIX)

packages:
	@tools/install-packages

# The King James Bible, one verse a line; the sum is that of the text all stated results were made with.
$(DATA)/kjv.txt:
	@mkdir -p $(DATA)
	@bible -f 'gen1:1-rev22:21' | sed 's/^[^ ]* //' >$@.part
	@echo 'b5c4940bcfeee072c0935b5200d0f9d88a00a0199cb0961d16133458fcdfae5d  $@.part' | sha256sum --check --quiet
	@mv $@.part $@
