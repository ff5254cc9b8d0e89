#!/bin/sh
# What coco needs from the machine: says so or, run as root on Debian, installs what is missing.
# Asks dpkg first and touches the network only when something is missing, so running it always is cheap.
#
# usage: tests/setup.sh [build|demo|test|bench|deb|musl]     (test by default: everything)
set -eu
cd "$(dirname "$0")/.."

# The one list. Rust is not in it: Debian's is too old, see check_rust.
packages() {
    case $1 in
    build)
        # A C compiler, for SQLite and ring.
        echo gcc libc6-dev make
        ;;
    deb)
        packages build
        # What the programs need of the C library, and their symbols away.
        echo dpkg-dev binutils
        ;;
    musl)
        packages build
        # A C compiler for SQLite and ring.
        echo musl-tools
        ;;
    bench)
        packages build
        # Two namespaces and the link between them; the relay that ours is measured beside.
        echo iproute2 coturn
        # What carries IP otherwise, and what measures it.
        echo iperf3 nebula wireguard-go wireguard-tools
        ;;
    demo)
        packages build
        # The camera: GStreamer's RTSP server, driven from Python.
        echo python3-gi gir1.2-gst-rtsp-server-1.0
        # Its picture: videotestsrc and videoconvert; rtph264pay; openh264enc; clockoverlay.
        echo gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-x
        # ffprobe and ffmpeg look at it through the tunnel.
        echo ffmpeg
        ;;
    test)
        packages demo
        # What goes through tunnels in the end-to-end tests: web, WebSocket, MQTT.
        echo nginx curl wrk python3-websockets mosquitto mosquitto-clients python3-paho-mqtt
        # A second RTSP server; what its film is kept in comes with ffmpeg.
        echo vlc-bin vlc-plugin-base
        # The network lab: namespaces, NATs and walls.
        echo nftables conntrack util-linux
        # What goes over IP between nodes: echoes, bulk, a shell.
        echo iputils-ping iperf3 openssh-client openssh-server
        # A program that is linked statically, and asks for names in its own way.
        echo musl-tools
        # What leaves a machine, and what does not.
        echo tcpdump
        # Reading --json, sockets and processes from outside.
        echo jq iproute2 procps
        # Answers are held against their schemas.
        echo python3-jsonschema
        # A terminal for the dashboard; shells that complete commands.
        echo tmux zsh fish
        # What systemd thinks of the units that start the daemons.
        echo systemd
        # Lints for the scripts and the man pages.
        echo shellcheck mandoc
        ;;
    *)
        fail "no package group '$1'" "use build, demo, test, bench, deb or musl"
        ;;
    esac
}

fail() {
    printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
    exit 1
}

check_rust() {
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    found=$(cargo --version 2>/dev/null | cut -d ' ' -f 2) || true
    [ -n "$found" ] || fail "cargo is not in PATH" "install Rust $wanted or later from https://rustup.rs"
    oldest=$(printf '%s\n%s\n' "$wanted" "${found%%-*}" | sort -V | head -n 1)
    [ "$oldest" = "$wanted" ] || fail "cargo is $found, coco needs $wanted or later" "run: rustup update stable"
    [ "$1" = test ] || return 0
    for part in fmt clippy; do
        cargo $part --version >/dev/null 2>&1 ||
            fail "cargo $part is missing" "run: rustup component add rustfmt clippy"
    done
}

# The words of $1 that are not installed.
missing() {
    # shellcheck disable=SC2086  # one word per package is meant
    installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $1 2>/dev/null | sed -n 's/ installed$//p')
    for package in $1; do
        printf '%s\n' "$installed" | grep -qxF "$package" || printf '%s ' "$package"
    done
}

# Debian starts a service when it installs it. The tests start their own, on their
# own ports; the machine gets no new listener from them, neither now nor at the next boot.
install_quietly() {
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        trap 'rm -f $policy' EXIT
        trap 'exit 1' INT TERM HUP
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get -q -o DPkg::Lock::Timeout=120 update
    apt-get -q -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$@"
    [ -d /run/systemd/system ] || return 0
    for package in "$@"; do
        case $package in
        coturn | nginx | mosquitto) systemctl disable "$package" ;;
        openssh-server) systemctl disable ssh ;;
        esac
    done
}

group=${1:-test}
wanted_packages=$(packages "$group")
check_rust "$group"

if ! command -v dpkg-query >/dev/null; then
    # shellcheck disable=SC2086
    echo "warning: not a Debian machine; going on as if it had:" $wanted_packages >&2
    exit 0
fi
todo=$(missing "$wanted_packages")
[ -n "$todo" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
    sudo=$(command -v sudo >/dev/null && echo "sudo ") || true
    fail "missing Debian packages: ${todo% }" \
        "run as root: ${sudo}apt-get update && ${sudo}apt-get install --no-install-recommends ${todo% }"
fi
echo "installing: $todo" >&2
# shellcheck disable=SC2086
install_quietly $todo >&2
todo=$(missing "$wanted_packages")
[ -z "$todo" ] || fail "still missing after the installation: ${todo% }" "see what apt-get said above"
