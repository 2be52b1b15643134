# The front door. CMake and Ninja do the work (presets in CMakePresets.json); this only spells the usual calls.

.DEFAULT_GOAL := help
.PHONY: help build demo lake lake-down check check-fast interop bench bench-kernel kernel-mutants kernel-lives fuzz tidy format install clean

PRESET ?= release
JOBS   ?= $(shell nproc)
PREFIX ?= /usr/local

help:
	@echo 'Moat: SQL over your own data, every query as the person who asked.'
	@echo
	@echo '  make demo         build, fetch real data, and watch three people get three right answers'
	@echo '  make lake         a lake to play with: issuer, catalog, object store, two people; make lake-down stops it'
	@echo '  make check        every test, in a release build and under sanitizers (under 15 minutes)'
	@echo
	@echo '  make build        the program: build/release/moat'
	@echo '  make check-fast   what to run before each commit (under 2 minutes)'
	@echo '  make interop      against the heavy neighbours: other engines, real services'
	@echo '  make bench        measure; prints a table and writes JSON under build/'
	@echo '  make bench-kernel the storage kernel beside LMDB, RocksDB, SQLite and redb'
	@echo '  make kernel-mutants  planted bugs in the storage kernel, each of which a simulated life must find'
	@echo '  make kernel-lives a million simulated lives of the storage kernel (SEEDS=1000000)'
	@echo '  make fuzz         all fuzz targets, 10 million executions each; stop it and call it again (tools/fuzz --help)'
	@echo '  make tidy         the rules of the tree that a compiler does not know'
	@echo '  make format       clang-format over all of ours'
	@echo '  make install      to PREFIX ($(PREFIX)); DESTDIR is honoured'
	@echo '  make clean        remove build/, keep downloads'
	@echo
	@echo '  PRESET=debug|asan|tsan|fuzz, with -clang after the first three or release:  make build PRESET=asan-clang'
	@echo '  JOBS=n to build with n jobs ($(JOBS) here).  Whatever is missing is installed first: see tools/deps.'

build:
	@tools/deps build
	@cmake --preset $(PRESET) --log-level=WARNING >/dev/null
	@cmake --build build/$(PRESET) -j $(JOBS) --target moat

demo: build
	@tools/deps demo
	@tools/demo

lake: build
	@tools/deps lake
	@tools/lake up

lake-down:
	@tools/lake down

check:
	@tools/deps check
	@tools/check all --jobs $(JOBS)

check-fast:
	@tools/deps check
	@tools/check fast --jobs $(JOBS)

interop:
	@tools/deps interop
	@tools/check interop --jobs $(JOBS)

bench:
	@tools/deps bench
	@tools/bench --jobs $(JOBS)

bench-kernel:
	@tools/deps bench
	@tools/bench --jobs $(JOBS) kernel

kernel-mutants:
	@tests/sim/mutants

SEEDS ?= 1000000
kernel-lives:
	@cmake --preset release >/dev/null && ninja -C build/release -j $(JOBS) moat-sim >/dev/null
	@nice build/release/bin/moat-sim --seeds $(SEEDS) --jobs $(JOBS)

fuzz:
	@tools/deps check
	@tools/fuzz --jobs $(JOBS)

tidy:
	@tools/tidy.py

format:
	@tools/deps check
	@tools/format

install: build
	@cmake --install build/$(PRESET) --prefix $(PREFIX)

clean:
	@rm -rf build
