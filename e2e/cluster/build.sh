#!/bin/bash
# Builds what the clusters are made of into $TOOLS/bin, from the Go modules that `versions` names: no checkout
# and no download but Go's own. About ten minutes on two cores; nothing to do when all is there.
#
#   build.sh [NAME...]      all, or only those (`build.sh helm`)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/paths.sh"

main() {
    mkdir -p "$TOOLS/bin"
    exec 9>"$TOOLS/lock"
    flock -n 9 || { echo "build: waiting for another build in $TOOLS"; flock -w 3600 9; }
    local missing
    missing=$(programs "$@" | while read -r name package module version; do
        is_built "$name" "$module" "$version" || echo "$name $package $module $version"
    done)
    [ -n "$missing" ] || return 0
    local module version
    while read -r module version; do
        build_module "$module" "$version" "$(awk -v m="$module" '$3 == m' <<<"$missing")"
    done < <(awk '{ print $3, $4 }' <<<"$missing" | sort -u)
}

# The lines of the table, all or those that are asked for.
programs() {
    grep -v '^#' "$here/versions" | awk -v wanted=" $* " 'wanted == "  " || index(wanted, " " $1 " ")'
}

# A program says itself which version of which module it was made from.
is_built() {
    go version -m "$TOOLS/bin/$1" 2>/dev/null | awk -v m="$2" -v v="$3" '$2 == m && $3 == v { found = 1 } END { exit !found }'
}

# One module for the build of one module: MODULE VERSION LINES
build_module() {
    local module=$1 version=$2 lines=$3 directory="$TOOLS/modules/${1//\//_}@$2"
    echo "build: $module $version: $(awk '{ print $1 }' <<<"$lines" | paste -sd ' ')"
    mkdir -p "$directory"
    cd "$directory"
    [ -f go.mod ] || go mod init tools >/dev/null 2>&1
    if [ "$module" = k8s.io/kubernetes ]; then
        require_kubernetes "$version"
    fi
    # shellcheck disable=SC2046 # one word a package
    go get -tool $(awk -v v="$version" '{ print $2 "@" v }' <<<"$lines")
    local name package
    while read -r name package _; do
        CGO_ENABLED=0 go build -trimpath -p 2 -ldflags "$(stamps "$module" "$version")" -o "$TOOLS/bin/$name" "$package"
    done <<<"$lines"
}

# Kubernetes' go.mod points at its own ./staging: each of those modules is published by itself, too.
require_kubernetes() {
    local version=$1 source staging
    grep -q "^godebug default" go.mod && return
    source=$(go mod download -json "k8s.io/kubernetes@$version" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
    for staging in $(sed -n 's|^\s*\(k8s.io/[a-z0-9-]*\) => ./staging.*|\1|p' "$source/go.mod" | sort -u); do
        go mod edit -replace "$staging=$staging@v0.${version#v1.}"
    done
    go mod edit -godebug "$(sed -n 's/^godebug \(default=go[0-9.]*\)$/\1/p' "$source/go.mod")"
}

# Kubernetes refuses to run without knowing its version.
stamps() {
    local at flags="-s -w"
    if [ "$1" = k8s.io/kubernetes ]; then
        for at in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
            flags+=" -X $at.gitVersion=$2 -X $at.gitMajor=1 -X $at.gitMinor=$(cut -d. -f2 <<<"$2") -X $at.gitTreeState=clean"
            flags+=" -X $at.gitCommit=0000000000000000000000000000000000000000 -X $at.buildDate=2026-01-01T00:00:00Z"
        done
    fi
    echo "$flags"
}

main "$@"
