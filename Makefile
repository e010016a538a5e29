# memmap: the words that people type. CMake does the work; each target names one preset of
# CMakePresets.json and leaves its build in build/PRESET.
#
#   make PRESET=clang check      the tests, compiled by clang
#   make JOBS=1                  one job at a time

PRESET ?= release
JOBS   ?= $(shell nproc)
PREFIX ?= /usr/local
BUILD   = build/$(PRESET)

.DEFAULT_GOAL := all
.PHONY: all check demo bench fuzz lint format install uninstall coverage valgrind threads clean help

## all: build the library and the memmap command (installing what they need)
all: deps-build
	@cmake --preset $(PRESET) -DMEMMAP_TESTS=OFF $(CMAKE_ARGS) > /dev/null
	@cmake --build $(BUILD) -j $(JOBS)

## check: build everything and pass every test
check: deps-check
	@cmake --preset $(PRESET) -DMEMMAP_TESTS=ON $(CMAKE_ARGS) > /dev/null
	@cmake --build $(BUILD) -j $(JOBS)
	@ctest --preset $(PRESET) -j $(JOBS) $(CTEST_ARGS)

## demo: trace a real program, print the summary and draw its address space over time
demo: all
	@scripts/demo $(BUILD)

## bench: measure against the peers and against running untraced; tables and plots
bench: deps-bench
	@cmake --preset bench > /dev/null
	@cmake --build build/bench -j $(JOBS)
	@bench/run build/bench

## fuzz: run every fuzz target for FUZZ_SECONDS (60) each
fuzz: deps-lint
	@cmake --preset fuzz > /dev/null
	@cmake --build build/fuzz -j $(JOBS)
	@scripts/fuzz build/fuzz

## lint: clang-format and clang-tidy over every source
lint: deps-lint
	@cmake --preset clang > /dev/null
	@cmake --build build/clang --target memmap_generated > /dev/null
	@scripts/lint build/clang

## format: lay out every source as .clang-format says
format: deps-lint
	@git ls-files '*.c' '*.h' '*.cc' | xargs clang-format -i

## valgrind: the tests under valgrind's memcheck
valgrind: deps-check
	@cmake --preset debug $(CMAKE_ARGS) > /dev/null
	@cmake --build build/debug -j $(JOBS)
	@scripts/valgrind build/debug

## threads: the tests that make threads, under ThreadSanitizer
threads: deps-check
	@cmake --preset tsan -DMEMMAP_TESTS=ON > /dev/null
	@cmake --build build/tsan -j $(JOBS) --target threaded_tests
	@ctest --preset tsan -j $(JOBS) -L threads

## coverage: line and branch coverage of floors 1-3 by their own tests; fails when a line was not run
coverage: deps-check
	@cmake --preset coverage > /dev/null
	@cmake --build build/coverage -j $(JOBS) --target tests/base/all tests/segment/all \
		tests/memmap/all tests/fuzz/all
	@scripts/coverage build/coverage

## install: into $(DESTDIR)$(PREFIX)
install: all
	@cmake --install $(BUILD) --prefix $(PREFIX)

## uninstall: remove what install put there
uninstall:
	@test -f $(BUILD)/install_manifest.txt || { echo "nothing was installed from $(BUILD)"; exit 1; }
	@sed 's|^|$(DESTDIR)|' $(BUILD)/install_manifest.txt | xargs rm -f

clean:
	@rm -rf build

## help: these lines
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

# Packages, installed when they are missing: see scripts/install-deps.
.PHONY: deps-build deps-check deps-lint deps-bench
deps-build deps-check deps-lint deps-bench: deps-%:
	@scripts/install-deps $*
