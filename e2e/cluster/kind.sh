#!/bin/bash
# The same verbs as local.sh, on kind. Where Docker runs, kind takes its own node image. Where none does but could (root
# on Debian 12), a Docker daemon is started in namespaces of its own, with a node image built here: no registry is asked.
#
#   kind.sh needs | build | up CLUSTER INDEX REGION... | load CLUSTER IMAGE.tar | kubeconfig CLUSTER | down CLUSTER
#   kind.sh cut|heal|crash|start CLUSTER NODE | inside CLUSTER NODE CMD... | logs CLUSTER DIRECTORY
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/paths.sh"
. "$here/cables.sh"
SOCKET=$STATE/docker/docker.sock
SERVICES=10.213.240.0/20
NODE_IMAGE=e2e.local/node:$(awk '$1 == "kubelet" { print $4 }' "$here/versions")

main() {
    local verb=${1:-}
    shift || true
    case $verb in
    needs | build) ;;
    up | load | kubeconfig | cut | heal | crash | start | inside | logs | down)
        cluster=$1
        directory=$STATE/$cluster
        shift
        ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    [ ! -S "$SOCKET" ] || export DOCKER_HOST="unix://$SOCKET"
    "$verb" "$@"
}

needs() {
    command -v go >/dev/null || { echo "needs: Go 1.21 or newer, to build kind: https://go.dev/dl"; return 1; }
    ! docker_answers || return 0
    "$here/local.sh" needs || { echo "needs: or a Docker that answers"; return 1; }
    local missing
    missing=$(packages)
    if [ -n "$missing" ] && command -v apt-get >/dev/null; then
        # shellcheck disable=SC2086 # one word a package
        { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $missing; } >&2 || true
        missing=$(packages)
    fi
    [ -z "$missing" ] || { echo "needs: the programs of these Debian packages: ${missing//$'\n'/ }"; return 1; }
}

packages() {
    command -v dockerd >/dev/null || echo docker.io
    command -v debootstrap >/dev/null || echo debootstrap
    command -v jq >/dev/null || echo jq
}

docker_answers() { timeout 10 docker info >/dev/null 2>&1; }

build() {
    "$here/build.sh" kind kubectl helm
    ! docker_answers || return 0
    "$here/local.sh" build
    "$here/build.sh" kubeadm
    "$here/kind/docker.sh" start
    DOCKER_HOST="unix://$SOCKET" "$here/kind/node.sh" "$NODE_IMAGE"
}

up() {
    local role=control-plane region own=""
    shift   # the index keeps clusters of local.sh apart; kind sees to that itself
    mkdir -p "$directory"
    [ -z "${DOCKER_HOST:-}" ] || own=", image: \"$NODE_IMAGE\""
    {
        cat "$here/kind/${own:+own-}cluster.yaml"
        echo "nodes:"
        for region in "$@"; do
            echo "- {role: $role$own, labels: {topology.kubernetes.io/region: $region, topology.kubernetes.io/zone: $region-a}}"
            role=worker
        done
    } >"$directory/kind.yaml"
    kind create cluster --name "$cluster" --config "$directory/kind.yaml" --kubeconfig "$directory/kubeconfig" --wait 180s
    # The first machine is a region like the others.
    KUBECONFIG=$directory/kubeconfig kubectl taint nodes --all node-role.kubernetes.io/control-plane- >/dev/null 2>&1 || true
    KUBECONFIG=$directory/kubeconfig kubectl wait --for=condition=Ready nodes --all --timeout=180s >/dev/null
    [ -z "$own" ] || lay_way
}

# Tests dial Services directly: over the bridge, through the daemon's machine, to the first node's kube-proxy.
lay_way() {
    local node
    node=$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$cluster-control-plane")
    nsenter --net --target "$(cat "$STATE/docker/docker.inner")" sh -c \
        "ip route replace $SERVICES via $node && iptables -I DOCKER-USER -d $SERVICES -j ACCEPT && iptables -I DOCKER-USER -s $node -j ACCEPT"
    ip -n "$NETWORK" route replace "$SERVICES" via 10.211.0.200
    ip route replace "$SERVICES" via "$GATEWAY"
}

load() { kind load image-archive "$1" --name "$cluster"; }

kubeconfig() { echo "$directory/kubeconfig"; }

# Rules rather than a link that is down: routes and addresses stay as they are.
cut() {
    docker exec "$1" iptables -t raw -I PREROUTING -i eth0 -j DROP
    docker exec "$1" iptables -t mangle -I POSTROUTING -o eth0 -j DROP
}

heal() {
    docker exec "$1" iptables -t raw -D PREROUTING -i eth0 -j DROP
    docker exec "$1" iptables -t mangle -D POSTROUTING -o eth0 -j DROP
}

crash() { docker kill "$1" >/dev/null; }

start() { docker start "$1" >/dev/null; }

inside() {
    local name=$1
    shift
    docker exec "$name" "$@"
}

logs() { timeout 120 kind export logs "$1" --name "$cluster" >/dev/null 2>&1 || true; }

down() {
    kind delete cluster --name "$cluster" --kubeconfig "$directory/kubeconfig" || true
    rm -rf "$directory"
    ip route del "$SERVICES" 2>/dev/null || true
    [ ! -S "$SOCKET" ] || "$here/kind/docker.sh" stop
    drop_cables
}

main "$@"
