#!/bin/bash
# A real Kubernetes on this machine, without Docker and without any registry: API server, kubelets, containerd,
# DNS, volumes. A machine of it is one set of namespaces (processes, mounts, network, host name, IPC) with its own
# disk directories and an address on a bridge that leads nowhere else; ending its first process ends all of it.
#
#   local.sh needs                        says what is missing on this machine; installs it on Debian
#   local.sh build                        builds what is missing (see build.sh, images.sh)
#   local.sh up CLUSTER INDEX REGION...   starts a cluster: one machine a region; INDEX 1 to 7 keeps addresses apart
#   local.sh load CLUSTER IMAGE.tar       brings an image to every machine
#   local.sh kubeconfig CLUSTER           the file that reaches it
#   local.sh cut|heal CLUSTER NODE        takes a machine's network away, gives it back
#   local.sh crash|start CLUSTER NODE     ends all of a machine's processes at once, starts it again
#   local.sh inside CLUSTER NODE CMD...   runs a command among the machine's processes, also while it is cut off
#   local.sh audit CLUSTER                the file with what service accounts ask the API server for
#   local.sh logs CLUSTER DIRECTORY       copies the logs of its parts
#   local.sh down CLUSTER                 ends the machines and removes what they left
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/paths.sh"
. "$here/cables.sh"

main() {
    local verb=${1:-}
    shift || true
    case $verb in
    needs | build) "$verb" ;;
    up) up "$@" ;;
    load | kubeconfig | cut | heal | crash | start | inside | audit | logs | down)
        cluster=$1
        directory=$STATE/$cluster
        shift
        [ -d "$directory" ] || { [ "$verb" = down ] && return 0; echo "local: no cluster $cluster runs" >&2; exit 1; }
        "$verb" "$@"
        ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
}

needs() {
    [ "$(uname -s)" = Linux ] || { echo "needs: Linux"; return 1; }
    [ "$(id -u)" = 0 ] || { echo "needs: root (namespaces, mounts and network are made)"; return 1; }
    command -v go >/dev/null || { echo "needs: Go 1.21 or newer, to build Kubernetes: https://go.dev/dl"; return 1; }
    local missing
    missing=$(packages)
    if [ -n "$missing" ] && command -v apt-get >/dev/null; then
        # shellcheck disable=SC2086 # one word a package
        { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing; } >&2 || true
        missing=$(packages)
    fi
    [ -z "$missing" ] || { echo "needs: the programs of these Debian packages: ${missing//$'\n'/ }"; return 1; }
}

# What is missing, as Debian's packages.
packages() {
    command -v containerd >/dev/null || echo containerd
    command -v runc >/dev/null || echo runc
    [ -x /usr/lib/cni/bridge ] || echo containernetworking-plugins
    command -v nft >/dev/null || echo nftables
    command -v ip >/dev/null || echo iproute2
    command -v openssl >/dev/null || echo openssl
    command -v python3 >/dev/null || echo python3
    command -v curl >/dev/null || echo curl
    command -v pgrep >/dev/null || echo procps
    command -v cc >/dev/null || echo gcc libc6-dev
    [ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1 || echo busybox-static
}

build() {
    local programs
    mapfile -t programs < <(awk '$1 != "#" && $1 != "kind" && $1 != "kubeadm" { print $1 }' "$here/versions")
    "$here/build.sh" "${programs[@]}"
    "$here/images.sh"
}

up() {
    cluster=$1 directory=$STATE/$1
    local index=$2 at=0 region names=()
    shift 2
    [ ! -e "$directory" ] || { echo "local: $cluster is there already; local.sh down $cluster removes it" >&2; exit 1; }
    mkdir -p "$directory"
    local first=$((index * 16)) api="10.211.0.$((index * 16 + 1))"
    cat >"$directory/network" <<END
GATEWAY=$GATEWAY
POD_CIDR=10.212.$first.0/20
SERVICE_CIDR=10.213.$first.0/20
DNS=10.213.$first.10
END
    for region in "$@"; do
        at=$((at + 1))
        echo "$cluster-$at 10.211.0.$((first + at)) 10.212.$((first + at)).0/24 $region"
        names+=("$cluster-$at=10.211.0.$((first + at))")
    done >"$directory/machines"
    lay_cables
    "$here/pki.sh" "$directory/pki" "$api" "10.213.$first.1" "${names[@]}"
    local name
    while read -r name _; do start "$name"; done <"$directory/machines"
    ip -n "$NETWORK" route replace "10.213.$first.0/20" via "$api"   # services: through the first machine's kube-proxy
    ip route replace "10.212.$first.0/20" via "$GATEWAY"             # tests dial pods and services directly
    ip route replace "10.213.$first.0/20" via "$GATEWAY"
    settle "$#"
}

# Until the API answers, every machine is Ready and names are resolved.
settle() {
    local wanted=$1 began=$SECONDS
    KUBECONFIG=$(kubeconfig)
    export KUBECONFIG
    . "$directory/network"
    until kubectl --request-timeout=1s get --raw /readyz >/dev/null 2>&1; do pause "$began" "the API server"; done
    sed "s/@DNS@/$DNS/; s/@FIRST@/$cluster-1/" "$here/manifests/dns.yaml" | kubectl apply -f - >/dev/null
    kubectl apply -f "$here/manifests/volumes.yaml" >/dev/null
    until [ "$(kubectl get nodes --no-headers 2>/dev/null | grep -cw Ready)" = "$wanted" ]; do pause "$began" "the nodes"; done
    kubectl -n kube-system rollout status deployment/coredns --timeout=180s >/dev/null
    kubectl -n volumes rollout status deployment/volumes --timeout=180s >/dev/null
}

pause() {
    [ $((SECONDS - $1)) -lt 240 ] || { echo "local: $2 did not come up in 240 s; logs: $directory/*/log" >&2; exit 1; }
    sleep 0.3
}

machine() {
    read -r _ address pods _ < <(grep "^$1 " "$directory/machines") || { echo "local: no machine $1" >&2; exit 1; }
}

start() {
    local name=$1 address pods role=node
    machine "$name"
    [ "$name" != "$cluster-1" ] || role=control-plane
    start_machine "$directory" "$name" "${address##*.}" "$here/machine.sh" "$directory" "$name" "$role"
    ip -n "$NETWORK" route replace "$pods" via "$address"
}

crash() { end_machine "$directory" "$1" "atoll-e2e/$1"; }

cut() { machine "$1" && ip -n "$NETWORK" link set "e2e${address##*.}" down; }

heal() { machine "$1" && ip -n "$NETWORK" link set "e2e${address##*.}" up; }

inside() {
    local name=$1
    shift
    nsenter --net --mount --pid --target "$(cat "$directory/$name.inner")" "$@"
}

load() {
    local name
    while read -r name _; do
        nsenter --mount --pid --net --ipc --target "$(cat "$directory/$name.inner")" \
            ctr -n k8s.io images import "$1" </dev/null >/dev/null &
    done <"$directory/machines"
    local job
    for job in $(jobs -p); do wait "$job"; done
}

kubeconfig() { echo "$directory/pki/admin.conf"; }

audit() { echo "$directory/$cluster-1/log/audit.log"; }

logs() {
    local log
    mkdir -p "$1"
    for log in "$directory"/*/log/*.log; do
        tail -c 2000000 "$log" >"$1/$(basename "$(dirname "$(dirname "$log")")")-$(basename "$log")"
    done
}

down() {
    local name
    while read -r name _; do
        [ ! -e "$directory/$name.inner" ] || crash "$name"
    done <"$directory/machines"
    . "$directory/network"
    ip route del "$POD_CIDR" 2>/dev/null || true
    ip route del "$SERVICE_CIDR" 2>/dev/null || true
    rm -rf "$directory"
    drop_cables
}

main "$@"
