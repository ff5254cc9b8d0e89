#!/bin/sh
# Imports run one way: coconet <- coco-tunnel <- {cocod, coco-manager}, coconet <- cococtl, and coco-sandbox stands by
# itself below the daemons.
# Held by the dependency lists: what a crate may not do is what its list may not name.
set -eu
cd "$(dirname "$0")/.."

broken=0

# never CRATE WHY NAMES...: the normal dependencies of CRATE, followed to the end, name none of NAMES.
never() {
    crate=$1 why=$2
    shift 2
    tree=$(cargo tree --locked --package "$crate" --edges normal --target all --all-features \
        --prefix none --format '{p}') || exit 1
    names=$(printf '%s\n' "$tree" | cut -d ' ' -f 1 | sort -u)
    bad=
    for name in "$@"; do
        if printf '%s\n' "$names" | grep -qxF "$name"; then bad="$bad $name"; fi
    done
    if [ -z "$bad" ]; then
        echo "ok: $crate ($why) names none of: $*"
        return
    fi
    broken=1
    echo "error: $crate ($why) depends on:$bad" >&2
    for name in $bad; do
        cargo tree --locked --package "$crate" --edges normal --target all --all-features --invert "$name" >&2 || true
    done
}

never coconet "pure: no IO, no async" \
    tokio mio async-io nix rustix socket2 clap anyhow noq noq-proto noq-udp rustls hyper axum rusqlite tracing-subscriber
never coco-tunnel "a library: no storage, no command line" \
    rusqlite clap anyhow axum hyper toml tracing-subscriber coco-sandbox cocod coco-manager cococtl
never coco-sandbox "what every daemon gives up: knows no networks" \
    tokio clap anyhow noq rusqlite tracing coconet coco-tunnel cocod coco-manager cococtl
never cococtl "talks to its daemon only" \
    coco-tunnel coco-sandbox noq noq-proto noq-udp rustls snow ring rusqlite axum cocod coco-manager
never cocod "talks to managers by wire only" coco-manager cococtl
never coco-manager "talks to nodes by wire only" cocod cococtl

[ "$broken" -eq 0 ] || {
    echo "hint: move the code that needs it to the crate that may have it; see ARCHITECTURE.md" >&2
    exit 1
}
