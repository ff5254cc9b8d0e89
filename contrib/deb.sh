#!/bin/sh
# The Debian packages, of the programs that `make release` has built: target/deb/*.deb. `make deb` calls this.
#
# usage: contrib/deb.sh [VERSION]     (of Cargo.toml by default)
#
#   BIN=DIR   where the programs were built (default: target/release)
#   OUT=DIR   where the packages go (default: target/deb)
#
# cargo-deb makes them by [package.metadata.deb] of Cargo.toml and manager/Cargo.toml, out of a tree that
# contrib/install.sh has put below target/deb/root.
set -eu
cd "$(dirname "$0")/.."

# The release that is known to make what tests/deb.sh wants.
cargo_deb=3.8.0

fail() {
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

found=$(cargo deb --version 2>/dev/null) || true
found=${found##* }
[ "$found" = $cargo_deb ] ||
    fail "cargo-deb $cargo_deb is not there${found:+, but $found}" \
        "run: cargo install cargo-deb --version $cargo_deb --locked"
command -v dpkg-shlibdeps >/dev/null || fail "dpkg-shlibdeps is missing" "run as root: apt-get install dpkg-dev"

version=${1:-$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)-1}
out=${OUT:-target/deb}
root=target/deb/root
rm -rf $root
mkdir -p "$out"
for package in cocod coco-manager; do
    PREFIX=/usr DESTDIR=$root/$package contrib/install.sh install $package
    doc=$root/$package/usr/share/doc/$package
    # The licences of a package stand in its copyright file, and its changes in a file with this name.
    rm "$doc/LICENSE-MIT" "$doc/LICENSE-APACHE"
    gzip -9n <"$doc/CHANGELOG.md" >"$doc/changelog.gz"
    rm "$doc/CHANGELOG.md"
    strip --remove-section=.comment --remove-section=.note "$root/$package/usr/bin/"*
    cat >"target/deb/$package.changelog" <<END
$package ($version) unstable; urgency=medium

  * This release: see changelog.gz.

 -- $(sed -n 's/^maintainer = "\(.*\)"/\1/p' Cargo.toml)  $(date -R)
END
    cargo deb --no-build --quiet -p $package --deb-version "$version" --output "$out/"
done
