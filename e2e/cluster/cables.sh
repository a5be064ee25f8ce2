# shellcheck shell=bash
# The bridge that machines are plugged into, in a network namespace of its own, and how one is plugged in. The machine
# that all of this runs on has one leg in it; no way leads out. Needs paths.sh.

GATEWAY=10.211.0.254   # machines are 10.211.0.N, pods 10.212.N.0/24 a machine, services 10.213.x.0/20 a cluster

lay_cables() {
    ! ip netns list | grep -qw "$NETWORK" || return 0
    ip netns add "$NETWORK"
    ip -n "$NETWORK" link set lo up
    ip -n "$NETWORK" link add br0 address 02:00:0a:d3:00:fe type bridge
    ip -n "$NETWORK" link set br0 up
    ip -n "$NETWORK" addr add "$GATEWAY/24" dev br0
    ip netns exec "$NETWORK" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 \
        net.ipv4.conf.br0.send_redirects=0
    ip netns exec "$NETWORK" sysctl -qw net.bridge.bridge-nf-call-iptables=0 2>/dev/null || true
    ip link add atoll-e2e type veth peer name host netns "$NETWORK"
    ip -n "$NETWORK" link set host master br0 up
    ip addr add 10.211.0.253/24 dev atoll-e2e
    ip link set atoll-e2e up
}

# The last cluster takes the cables along.
drop_cables() {
    [ -z "$(ls "$STATE" 2>/dev/null)" ] || return 0
    ip link del atoll-e2e 2>/dev/null || true
    ip netns del "$NETWORK" 2>/dev/null || true
    rmdir "$STATE" /sys/fs/cgroup/*/atoll-e2e /sys/fs/cgroup/atoll-e2e 2>/dev/null || true
}

# DIRECTORY NAME LAST_BYTE COMMAND...: starts a command as the first process of namespaces of its own, plugged in at
# 10.211.0.LAST_BYTE. Its process and that of its `unshare` are kept in DIRECTORY.
start_machine() {
    local directory=$1 name=$2 last=$3 outer inner="" child
    shift 3
    setsid unshare --mount --net --pid --uts --ipc --fork --kill-child=KILL --mount-proc --propagation private \
        "$@" </dev/null >/dev/null 2>&1 8>&- 9>&- &
    outer=$!
    for _ in $(seq 100); do
        child=$(pgrep -P "$outer" | head -n 1 || true)
        if [ -n "$child" ] && [ "$(readlink "/proc/$child/ns/net")" != "$(readlink /proc/self/ns/net)" ]; then
            inner=$child
            break
        fi
        sleep 0.05
    done
    [ -n "$inner" ] || { echo "e2e: the machine $name did not start" >&2; return 1; }
    echo "$outer" >"$directory/$name.outer"
    echo "$inner" >"$directory/$name.inner"
    # A fixed hardware address: neighbours' caches stay right over a restart.
    ip link add "e2e$last" netns "$NETWORK" type veth \
        peer name eth0 address "$(printf 02:00:0a:d3:00:%02x "$last")" netns "$inner"
    ip -n "$NETWORK" link set "e2e$last" master br0 up
}

# DIRECTORY NAME GROUP: ends it with all that it started, and removes its cgroups.
end_machine() {
    local directory=$1 name=$2 group=$3 at outer
    outer=$(cat "$directory/$name.outer")
    kill -KILL "$(cat "$directory/$name.inner")" 2>/dev/null || true   # the kernel ends the rest with it
    for _ in $(seq 100); do
        kill -0 "$outer" 2>/dev/null || break
        sleep 0.1
    done
    for _ in 1 2 3 4 5; do
        for at in /sys/fs/cgroup/*/"$group" /sys/fs/cgroup/"$group"; do
            [ ! -d "$at" ] || find "$at" -depth -type d -exec rmdir {} + 2>/dev/null || true
        done
        sleep 0.1
    done
}
