#!/bin/sh
# Puts what was built where it belongs, or takes it away again: `make install` and `make uninstall` call this, and
# the Debian packages are made of what it puts. There is one list of files, so that nothing is put and never taken.
#
# usage: contrib/install.sh install|uninstall [cocod] [coco-manager]     (both parts by default)
#
#   PREFIX=/usr/local  below which everything goes; the units get its programs
#   DESTDIR=           before PREFIX, for whoever makes a package
#   BIN=DIR            where the programs were built (default: target/release)
#   BASHDIR, ZSHDIR, FISHDIR, UNITDIR, USERUNITDIR, MANDIR, DOCDIR: other places below PREFIX
set -eu

PREFIX=${PREFIX:-/usr/local}
DESTDIR=${DESTDIR:-}
top=$(cd "$(dirname "$0")/.." && pwd)
bin=${BIN:-${CARGO_TARGET_DIR:-$top/target}/release}
case $bin in /*) ;; *) bin=$PWD/$bin ;; esac
MANDIR=${MANDIR:-$PREFIX/share/man}
DOCDIR=${DOCDIR:-$PREFIX/share/doc}
BASHDIR=${BASHDIR:-$PREFIX/share/bash-completion/completions}
# Debian's zsh looks for what packages bring in a directory of its own.
case $PREFIX in
/usr) ZSHDIR=${ZSHDIR:-$PREFIX/share/zsh/vendor-completions} ;;
*) ZSHDIR=${ZSHDIR:-$PREFIX/share/zsh/site-functions} ;;
esac
FISHDIR=${FISHDIR:-$PREFIX/share/fish/vendor_completions.d}
UNITDIR=${UNITDIR:-$PREFIX/lib/systemd/system}
USERUNITDIR=${USERUNITDIR:-$PREFIX/lib/systemd/user}

# files of PART: calls `file MODE SOURCE DESTINATION` for each.
files() {
    case $1 in
    cocod)
        file 755 "$bin/cocod" "$PREFIX/bin/cocod"
        file 755 "$bin/cococtl" "$PREFIX/bin/cococtl"
        file 644 completions/cococtl.bash "$BASHDIR/cococtl"
        file 644 completions/_cococtl "$ZSHDIR/_cococtl"
        file 644 completions/cococtl.fish "$FISHDIR/cococtl.fish"
        for unit in cocod@.service cocod@.socket; do
            file 644 "contrib/systemd/$unit" "$UNITDIR/$unit"
            file 644 "contrib/systemd/user/$unit" "$USERUNITDIR/$unit"
        done
        file 644 contrib/systemd/ip.conf "$DOCDIR/cocod/ip.conf"
        file 644 config.example.toml "$DOCDIR/cocod/config.example.toml"
        file 644 network.example.toml "$DOCDIR/cocod/network.example.toml"
        file 644 README.md "$DOCDIR/cocod/README.md"
        find docs -type f | sort | while read -r doc; do
            file 644 "$doc" "$DOCDIR/cocod/$doc"
        done
        ;;
    coco-manager)
        file 755 "$bin/coco-manager" "$PREFIX/bin/coco-manager"
        file 644 contrib/systemd/coco-manager.service "$UNITDIR/coco-manager.service"
        ;;
    *) fail "there is no part '$1'" "the parts are cocod and coco-manager" ;;
    esac
    for page in man/*.[1-9]; do
        name=${page##*/}
        [ "$(part_of "$name")" != "$1" ] || file 644 "$page" "$MANDIR/man${name##*.}/$name"
    done
    for text in CHANGELOG.md LICENSE-MIT LICENSE-APACHE; do
        file 644 "$text" "$DOCDIR/$1/$text"
    done
}

# Which part a manual page comes with.
part_of() {
    case $1 in
    coco-manager.* | manager.*) echo coco-manager ;;
    *) echo cocod ;;
    esac
}

put() {
    [ -f "$2" ] || fail "there is no $2" "run: make release"
    install -d "$DESTDIR$(dirname "$3")"
    case $2 in
    contrib/systemd/*)
        # Beside the old one first: a service manager may read it at any time.
        sed "s|/usr/local/bin/|$PREFIX/bin/|g" "$2" >"$DESTDIR$3.new"
        chmod "$1" "$DESTDIR$3.new"
        mv "$DESTDIR$3.new" "$DESTDIR$3"
        ;;
    *) install -m "$1" "$2" "$DESTDIR$3" ;;
    esac
}

take() {
    rm -f "$DESTDIR$3"
    # Directories of our own go when they are empty; all others are everybody's.
    case $3 in
    "$DOCDIR"/*)
        dir=$(dirname "$3")
        while [ "$dir" != "$DOCDIR" ] && rmdir "$DESTDIR$dir" 2>/dev/null; do dir=$(dirname "$dir"); done
        ;;
    esac
}

fail() {
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

cd "$top"
case ${1:-} in
install) file() { put "$@"; } ;;
uninstall) file() { take "$@"; } ;;
*) fail "what shall be done?" "contrib/install.sh install, or uninstall" ;;
esac
shift
[ $# -gt 0 ] || set -- cocod coco-manager
for part in "$@"; do files "$part"; done
