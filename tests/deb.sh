#!/usr/bin/env bash
# Installs, upgrades, removes and purges the Debian packages in a copy of this machine's file system that goes with
# the test: an overlay in a mount namespace of its own. No service manager runs there. As root.
#
# usage: tests/deb.sh DIR     (as `make test-deb`: DIR/old and DIR/new have the packages of two versions)
#
# Each line that begins with ok is something that holds; the first thing that does not ends it.
# shellcheck disable=SC2016  # ${...} is meant for dpkg-query
set -euo pipefail

fail() {
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

ok() {
    printf 'ok  %s\n' "$1"
}

not_so() {
    printf 'not ok  %s\n' "$1" >&2
    exit 1
}

packages=$(cd "${1:?a directory with packages}" && pwd)
if [[ ${2:-} != apart ]]; then
    [[ $(id -u) == 0 ]] || fail "only root can install packages" "run as root: make test-deb"
    for name in cocod coco-manager; do
        ! dpkg-query -W "$name" >/dev/null 2>&1 || fail "$name is installed on this machine" "dpkg --purge $name"
        for version in old new; do
            compgen -G "$packages/$version/${name}_*.deb" >/dev/null ||
                fail "there is no $version package $name in $packages" "run: make test-deb"
        done
    done
    work=$(mktemp -d /tmp/coco-deb.XXXXXX)
    trap 'rmdir "$work"' EXIT
    unshare --mount --pid --fork --kill-child "$0" "$packages" apart "$work"
    exit
fi

# From here on in namespaces of our own, which go with this process.
mount --make-rprivate /
work=$3
mount -t tmpfs tmpfs "$work"
mkdir "$work"/{upper,work,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root"
root=$work/root
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mkdir -p "$root/run/coco-packages" "$root/usr/sbin"
mount --bind "$packages" "$root/run/coco-packages"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"

in_it() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$root" "$@"
}

# What dpkg says is shown when it fails.
dpkg_in_it() {
    in_it dpkg "$@" </dev/null >"$work/said" 2>&1 || {
        cat "$work/said" >&2
        not_so "dpkg $*"
    }
}

# Both packages of one version.
install() {
    local packed=("$packages/$1"/*.deb)
    dpkg_in_it --install "${packed[@]/#"$packages"//run/coco-packages}"
}

is_there() {
    local path
    for path in "$@"; do [[ -e $root$path || -L $root$path ]] || not_so "$path is there"; done
}

is_gone() {
    local path
    for path in "$@"; do [[ ! -e $root$path && ! -L $root$path ]] || not_so "$path is gone"; done
}

# --- install ---------------------------------------------------------------------------------------------------

install old
old=$(in_it dpkg-query -W -f '${Version}' cocod)
ok "both packages install, with nothing else than this machine has: $old"

[[ -z $(in_it dpkg --verify cocod coco-manager) ]] || not_so "dpkg finds each file as it was packed"
for program in cocod cococtl coco-manager; do in_it "$program" --version >/dev/null || not_so "$program runs"; done
is_there /usr/share/man/man8/{cocod,coco-manager}.8.gz /usr/share/man/man1/cococtl.1.gz \
    /usr/share/bash-completion/completions/cococtl /usr/share/zsh/vendor-completions/_cococtl \
    /usr/share/fish/vendor_completions.d/cococtl.fish /usr/share/doc/{cocod,coco-manager}/copyright \
    /usr/lib/systemd/{system,user}/cocod@.{service,socket} /usr/lib/systemd/system/coco-manager.service
ok "programs, manual, completions and units are in their places"

! grep -rq /usr/local/bin "$root"/usr/lib/systemd/{system,user}/coco* || not_so "the units name the packaged programs"
in_it cocod --check --config /etc/coco/default.toml --state /tmp/check-state >/dev/null ||
    not_so "the daemon takes the packaged configuration"
[[ $(in_it dpkg-query -W -f '${Conffiles}' cocod | grep -c /etc/coco/default) == 2 ]] ||
    not_so "the configuration is the administrator's"
ok "the daemon takes the packaged configuration, which is a conffile"

is_gone /etc/systemd/system/multi-user.target.wants/coco-manager.service
ok "nothing is enabled that nobody asked for"

# --- what an administrator makes of it ---------------------------------------------------------------------------

manager_state=/var/lib/private/coco-manager state=/var/lib/private/coco/camera
mkdir -p "$root$manager_state" "$root$state" "$root/var/lib/coco"
ln -s private/coco-manager "$root/var/lib/coco-manager"
ln -s ../private/coco/camera "$root/var/lib/coco/camera"
chmod 700 "$root"/var/lib/private/coco/camera
address=$(in_it coco-manager init --state /var/lib/coco-manager/it --listen 127.0.0.1:0 --public 127.0.0.1:4433)
printf '# of this machine\n' >>"$root/etc/coco/default.toml"
printf 'COCOD_OPTIONS=\n' >"$root/etc/coco/camera.env"
in_it systemctl enable --quiet cocod@camera.socket cocod@camera.service coco-manager.service 2>/dev/null
wants=/etc/systemd/system/multi-user.target.wants
is_there $wants/cocod@camera.service $wants/coco-manager.service
touch "$root$state/kept"

# --- upgrade -----------------------------------------------------------------------------------------------------

install new
new=$(in_it dpkg-query -W -f '${Version}' cocod)
[[ $new != "$old" ]] || not_so "the second version is another one"
ok "an upgrade asks nothing: $new"
grep -qx '# of this machine' "$root/etc/coco/default.toml" || not_so "what was changed in /etc/coco stays"
[[ $(in_it coco-manager address --state /var/lib/coco-manager/it) == "$address" ]] || not_so "the manager keeps its keys"
is_there $state/kept $wants/cocod@camera.service $wants/coco-manager.service
ok "configuration, keys, state and what was enabled stay over an upgrade"

# --- remove ------------------------------------------------------------------------------------------------------

dpkg_in_it --remove cocod coco-manager
is_gone /usr/bin/{cocod,cococtl,coco-manager} /usr/lib/systemd/system/{cocod@.service,coco-manager.service} \
    /usr/share/bash-completion/completions/cococtl
is_there /etc/coco/default.toml $state/kept $manager_state/it/manager.key
ok "removing takes the programs and leaves configuration, keys and state"
install new
[[ $(in_it coco-manager address --state /var/lib/coco-manager/it) == "$address" ]] || not_so "they come back"
ok "and installing again finds them"

# --- purge -------------------------------------------------------------------------------------------------------

dpkg_in_it --purge cocod coco-manager
is_gone /etc/coco/default.{toml,env} /var/lib/{coco,coco-manager} /var/lib/private/{coco,coco-manager} \
    $wants/cocod@camera.service $wants/coco-manager.service /etc/systemd/system/sockets.target.wants/cocod@camera.socket
is_there /etc/coco/camera.env
rm "$root/etc/coco/camera.env" && rmdir "$root/etc/coco"
left=$(cd "$work/upper" && find . \( -iname '*coco*' -o -iname '*cocod*' \) -not -path './run/*' -not -path './tmp/*')
[[ -z $left ]] || not_so "nothing is left of them but what an administrator made: $left"
ok "purging takes all but what an administrator made"
