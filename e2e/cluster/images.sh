#!/bin/bash
# Makes the images that the clusters themselves need into $TOOLS/images: pause, CoreDNS, volumes and their shell.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/paths.sh"
images=$TOOLS/images

main() {
    mkdir -p "$images"
    [ "$images/pause" -nt "$here/programs/pause.c" ] || cc -static -Os -s -o "$images/pause" "$here/programs/pause.c"
    image pause --program "$images/pause=/pause"
    image coredns --program "$TOOLS/bin/coredns=/coredns"
    image volumes --program "$TOOLS/bin/local-path-provisioner=/volumes"
    image shell --program /bin/busybox=/bin/busybox --link busybox=/bin/sh --link busybox=/bin/mkdir \
        --link busybox=/bin/rm --link busybox=/bin/chmod
}

# NAME WHAT...: made anew when a program of it is newer
image() {
    local name=$1 program=$3 out="$images/$1.tar"
    shift
    [ "$out" -nt "${program%%=*}" ] && [ "$out" -nt "$here/../../scripts/image.py" ] && return
    python3 "$here/../../scripts/image.py" "e2e.local/$name:1" "$out" --root "$@"
}

main
