#!/bin/sh
# A network of an owner, an admin, two guests and three devices, made with cococtl and jq only, and taken
# down again. COCOCTL is the command, SOCKETS the directory of the daemons' sockets, MANAGER the manager.
set -eu

ctl() {
    app=$1
    shift
    "$COCOCTL" --socket "$SOCKETS/$app.sock" --json "$@"
}

join() { # APP INVITE-OPTION...
    app=$1
    shift
    ctl owner network invite site "$@" 2>/dev/null | jq -r .invite |
        ctl "$app" network join - --node-name "$app" 2>/dev/null | jq -r .node.name
}

expect() { # WHAT WANTED FOUND
    if [ "$2" != "$3" ]; then
        echo "error: $1: expected $2, found $3" >&2
        exit 1
    fi
}

expect founder owner "$(ctl owner network create site --manager "$MANAGER" 2>/dev/null | jq -r .node.user)"
expect admin admin "$(join admin --user anna --role admin)"
for guest in gina hugo; do
    expect guest "$guest" "$(join "$guest" --user "$guest" --role guest)"
done
for device in door garden roof; do
    expect device "$device" "$(join "$device" --device)"
    ctl "$device" tunnel expose tcp://127.0.0.1:9 --name "$device-service" 2>/dev/null >/dev/null
done

members=$(ctl owner network members site)
expect users 4 "$(echo "$members" | jq '.users | length')"
expect nodes 7 "$(echo "$members" | jq '[.users[].nodes[]] | length')"
expect devices 3 "$(echo "$members" | jq '[.users[].nodes[] | select(.kind == "device")] | length')"

# The admin gives the guests one resource each.
ctl admin network grant site gina door-service --can connect 2>/dev/null >/dev/null
ctl admin network grant site hugo garden-service --can connect --when "Tue 09:00-12:00 Europe/Berlin" 2>/dev/null >/dev/null
expect grants 2 "$(ctl owner network grants site | jq '.grants | length')"
if ctl admin node remove site door >/dev/null 2>&1; then
    echo "error: an admin has removed a device" >&2
    exit 1
fi
entries=$(ctl owner network log site | jq '.entries | length')
expect "entries in the log" "$entries" "$(($(ctl owner network audit site | jq .seq) + 1))"

# And down again.
for user in gina hugo; do
    ctl admin network remove site "$user" 2>/dev/null >/dev/null
done
for device in door garden roof; do
    ctl owner node remove site "$device" 2>/dev/null >/dev/null
done
ctl owner network remove site anna 2>/dev/null >/dev/null
members=$(ctl owner network members site)
expect "nodes left" 1 "$(echo "$members" | jq '[.users[].nodes[]] | length')"
expect "grants left" 0 "$(ctl owner network grants site | jq '.grants | length')"
ctl owner network leave site --forget 2>/dev/null >/dev/null
expect "networks left" 0 "$(ctl owner network list | jq '.networks | length')"
echo 'all done'
