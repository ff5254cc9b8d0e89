# make        lists what there is to do
# make demo   watch a camera through a tunnel
# make test   everything that must hold, from a fresh Debian machine with Rust on it

# How many tests run at once in each test program; empty: as many as there are cores.
TEST_THREADS ?=
# Passed on to `cargo test`, `cargo bench` and `make fuzz`: a name to pick some of them.
ARGS ?=
# Seconds for each fuzz target.
TIME ?= 60
# Where `make install` puts things: below PREFIX, with DESTDIR before it for whoever makes a package.
PREFIX ?= /usr/local
DESTDIR ?=
# The platform of `make musl`.
MUSL ?= $(shell uname -m)-unknown-linux-musl

SCRIPTS = .ci/run demo/run tests/setup.sh tests/layering.sh tests/fuzz.sh tests/deb.sh tests/musl.sh \
	contrib/install.sh contrib/deb.sh contrib/debian/cocod/* contrib/debian/coco-manager/*

.PHONY: help setup pictures build release install uninstall deb musl check fmt clippy scripts docs man completions schema layering \
	test test-lab test-deb test-musl demo bench fuzz clean
.NOTPARALLEL:
.DEFAULT_GOAL = help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

demo: ## watch a camera through a tunnel; ONCE=1 leaves after the proof, COCO_BIN=DIR takes other binaries
	@tests/setup.sh demo
	$(if $(COCO_BIN),,cargo build --release --workspace --exclude coco-bench --bins)
	@demo/run

pictures: ## docs/dashboard-*.svg anew, from a run of the demo; COCO_BIN=DIR takes other binaries
	@tests/setup.sh demo
	$(if $(COCO_BIN),,$(MAKE) release)
	@demo/picture docs

build: ## the three binaries for development, in target/debug
	cargo build --workspace --bins

release: ## the three binaries for use, in target/release
	cargo build --release --workspace --exclude coco-bench --bins

install: ## put what `make release` has built below PREFIX=/usr/local (root), or DESTDIR before it
	@PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) contrib/install.sh install

uninstall: ## take it away again
	@PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) contrib/install.sh uninstall

deb: release ## Debian packages of this version, in target/deb
	@tests/setup.sh deb
	@contrib/deb.sh

# The link editor and the C compiler for musl are Debian's; SQLite and ring are compiled by it.
musl: ## the three binaries linked statically, for any Linux of this machine's kind
	@tests/setup.sh musl
	rustup target add $(MUSL)
	cargo build --release --workspace --exclude coco-bench --bins --target $(MUSL)

setup: ## install what the tests need (root), or print the command
	@tests/setup.sh test

check: fmt clippy ## while working: format, lints and unit tests
	cargo test --workspace --lib --bins $(ARGS)

fmt: ## is everything formatted?
	cargo fmt --all --check

clippy: ## lints, all targets, warnings refused
	cargo clippy --workspace --all-targets -- -D warnings

scripts: ## lints for the shell scripts
	shellcheck $(SCRIPTS)

docs: ## the library documentation, warnings refused
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Tests hold these to the programs, and write them when they are told to.
man: ## the generated parts of the manual pages in man/, anew
	REWRITE_MANUAL=1 cargo test -p cocod -p coco-manager -p cococtl --bins manual

completions: ## the shells' completions in completions/, anew
	REWRITE_COMPLETIONS=1 cargo test -p cococtl --test command completion

schema: ## the JSON schemas in docs/schema, anew
	REWRITE_SCHEMA=1 cargo test -p coconet --features schema --test schema

layering: ## imports run one way
	tests/layering.sh

# The binaries are built with the tests, by the same features, so that nothing is compiled twice;
# the end-to-end tests start them from target/debug. The bench has nothing to test, and would have noq built
# with TLS for all.
test: setup fmt scripts layering clippy docs ## everything: the above, unit, property and end-to-end tests
	cargo build --workspace --exclude coco-bench --bins --tests
	$(if $(TEST_THREADS),RUST_TEST_THREADS=$(TEST_THREADS)) cargo test --workspace --exclude coco-bench --no-fail-fast $(ARGS)
	cargo test -p coconet --features schema --test schema

test-deb: deb ## install, upgrade, remove and purge the packages in a copy of this machine (root)
	@mkdir -p target/deb/test/old target/deb/test/new
	@rm -f target/deb/test/*/*.deb
	@cp target/deb/*.deb target/deb/test/old/
	@OUT=target/deb/test/new contrib/deb.sh 999.0.0-1
	@tests/deb.sh target/deb/test

test-musl: musl ## the statically linked binaries carry a camera's picture
	@tests/setup.sh demo
	@tests/musl.sh $(MUSL)

# One test at a time: the table has the times in it.
test-lab: ## daemons behind NATs of every kind and players with every camera, shown; docs/*-matrix.md anew
	@tests/setup.sh test
	cargo build --workspace --exclude coco-bench --bins
	COCO_NAT_MATRIX=$(CURDIR)/docs/nat-matrix.md \
		cargo test --workspace --exclude coco-bench --test paths -- --nocapture --test-threads 1 $(ARGS)
	COCO_RTSP_MATRIX=$(CURDIR)/docs/rtsp-matrix.md \
		cargo test --workspace --exclude coco-bench --test rtsp -- --nocapture --test-threads 1 $(ARGS)

bench: ## through the tunnel and raw, side by side, as ratios; ARGS='raw coco --rounds 1' for less
	@tests/setup.sh bench
	cargo build --release --workspace --bins
	cargo bench -p coco-bench -- $(ARGS)
	$(if $(ARGS),,cargo bench -p coconet -p coco-manager --bench ledger --bench sync)

fuzz: ## every fuzz target for TIME=60 seconds; ARGS=NAME for one
	@TIME=$(TIME) tests/fuzz.sh $(ARGS)

clean: ## remove what was built
	cargo clean
	rm -rf fuzz/target
