#!/bin/sh
# Prometheus with promtool, and an OpenTelemetry Collector, for the tests of what Atoll is watched with.
#
# Both stay in ~/.cache/atoll/telemetry: Prometheus is unpacked from Debian's package (nothing is installed, so no service
# is started), the collector is built from its Go modules. `scripts/telemetry.sh prometheus` fetches only the first.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/atoll/telemetry"
bin="$cache/bin"
mkdir -p "$bin"

prometheus() {
    [ -x "$bin/promtool" ] && [ -x "$bin/prometheus" ] && return
    if command -v prometheus >/dev/null && command -v promtool >/dev/null; then
        ln -sf "$(command -v prometheus)" "$(command -v promtool)" "$bin/"
        return
    fi
    command -v apt-get >/dev/null || fail "install Prometheus with promtool, so that both are found"
    directory=$(mktemp -d)
    # The user that apt fetches as must be able to write here.
    chmod 777 "$directory"
    (cd "$directory" && { apt-get -q download prometheus || { as_root apt-get -q update && apt-get -q download prometheus; }; }) >&2
    dpkg-deb -x "$directory"/prometheus_*.deb "$directory/unpacked"
    mv "$directory/unpacked/usr/bin/prometheus" "$directory/unpacked/usr/bin/promtool" "$bin/"
    rm -rf "$directory"
}

# As the collector's builder would make it, with the parts that are needed and no others.
collector() {
    source="$root/e2e/telemetry/collector"
    sum=$(cat "$source"/go.mod "$source"/go.sum "$source"/*.go | sha256sum | cut -c 1-16)
    [ -x "$bin/collector-$sum" ] || {
        command -v go >/dev/null || fail "install Go: the collector is built from its modules"
        (cd "$source" && CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o "$bin/collector-$sum" .) >&2
    }
    ln -sf "collector-$sum" "$bin/collector"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

fail() {
    echo "telemetry: $*" >&2
    exit 1
}

prometheus
[ "${1:-}" = prometheus ] || collector
echo "$bin"
