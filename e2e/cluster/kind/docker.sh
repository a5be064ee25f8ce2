#!/bin/bash
# A Docker daemon in namespaces of its own, plugged in at 10.211.0.200: the firewall and the forwarding of the machine it
# runs on stay as they are. Clients: DOCKER_HOST=unix://$STATE/docker/docker.sock
#
#   docker.sh start | stop
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../paths.sh"
. "$here/../cables.sh"
directory=$STATE/docker

start() {
    [ ! -S "$directory/docker.sock" ] || return 0
    mkdir -p "$directory/data" "$directory/exec"
    lay_cables
    start_machine "$directory" docker 200 "$here/docker.sh" inside
    export DOCKER_HOST="unix://$directory/docker.sock"
    for _ in $(seq 300); do
        ! docker info >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    echo "docker: the daemon did not answer in 30 s; its log is $directory/docker.log" >&2
    exit 1
}

# The first process of the daemon's machine.
inside() {
    exec >>"$directory/docker.log" 2>&1
    hostname docker
    mount --make-rprivate /
    local at
    for at in /run/netns /run/docker; do
        mkdir -p "$at"
        mount -t tmpfs own "$at"
    done
    ip link set lo up
    for _ in $(seq 100); do
        ! ip link show eth0 >/dev/null 2>&1 || break
        sleep 0.05
    done
    ip addr add 10.211.0.200/24 dev eth0
    ip link set eth0 up
    ip route add default via "$GATEWAY"
    sysctl -qw net.ipv4.ip_forward=1
    dockerd --host "unix://$directory/docker.sock" --data-root "$directory/data" --exec-root "$directory/exec" \
        --pidfile "$directory/docker.pid" --storage-driver overlay2 --oom-score-adjust 0 --ip-masq=false --dns "$GATEWAY" \
        --add-runtime "lowered=$here/runc-lowered" --default-runtime lowered &
    trap 'exit 0' TERM
    while :; do sleep 3600 & wait; done
}

stop() {
    end_machine "$directory" docker docker
    rm -rf "$directory"
    drop_cables
}

"$@"
