#!/bin/sh
# Runs every fuzz target for TIME seconds (60), or only those named as arguments. Stops at the first crash.
set -eu
cd "$(dirname "$0")/.."

fail() {
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

time=${TIME:-60}
cargo +nightly --version >/dev/null 2>&1 ||
    fail "fuzzing needs a nightly Rust" "run: rustup toolchain install nightly"
cargo +nightly fuzz --version >/dev/null 2>&1 || fail "cargo-fuzz is missing" "run: cargo install cargo-fuzz"

targets=${*:-$(cargo +nightly fuzz list)}
[ -n "$targets" ] || fail "there are no fuzz targets" "they belong into fuzz/fuzz_targets"
cargo +nightly fuzz build
for target in $targets; do
    echo "fuzz $target for $time s" >&2
    # What fuzzing finds goes to the corpus, which git ignores; the seeds are committed and only read.
    mkdir -p "fuzz/corpus/$target"
    dirs=fuzz/corpus/$target
    [ ! -d "fuzz/seeds/$target" ] || dirs="$dirs fuzz/seeds/$target"
    # shellcheck disable=SC2086  # two directories are meant
    cargo +nightly fuzz run "$target" $dirs -- -max_total_time="$time" -print_final_stats=1
done
