#!/bin/sh
# The statically linked programs: that they are, and that a camera's picture goes through a tunnel of theirs.
#
# usage: tests/musl.sh TARGET     (as `make test-musl`, which builds them)
set -eu
cd "$(dirname "$0")/.."

fail() {
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

bin=${CARGO_TARGET_DIR:-target}/${1:?a target, such as x86_64-unknown-linux-musl}/release
for name in cocod cococtl coco-manager; do
    [ -x "$bin/$name" ] || fail "there is no $bin/$name" "run: make musl"
    # A program that another one has to load says so in its headers.
    headers=$(LC_ALL=C readelf --program-headers --dynamic "$bin/$name")
    case $headers in
    *INTERP* | *NEEDED*) fail "$name is not linked statically" "readelf --program-headers --dynamic $bin/$name" ;;
    esac
    "$bin/$name" --version
done
ONCE=1 COCO_BIN=$bin demo/run
