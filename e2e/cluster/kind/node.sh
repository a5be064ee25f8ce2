#!/bin/bash
# Builds kind's node image from Debian's packages and what build.sh made: no image is pulled. DOCKER_HOST says where to.
#
#   node.sh NAME:TAG
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../paths.sh"
name=$1 version=${1##*:}
node=$TOOLS/node root=$TOOLS/node/root images=$TOOLS/node/images
PACKAGES=containerd,runc,containernetworking-plugins,nftables,iptables,iproute2,procps,kmod,conntrack,ethtool,ca-certificates,curl,jq

main() {
    ! docker image inspect "$name" >/dev/null 2>&1 || return 0
    mkdir -p "$images"
    [ -e "$node/rooted" ] || make_root
    local image
    for image in $(kubeadm config images list --kubernetes-version "$version"); do control_plane_image "$image"; done
    mkdir -p "$root"/kind/{images,manifests} "$root/etc/kubernetes/manifests" "$root/etc/containerd" "$root/etc/cni/net.d"
    rm -f "$root"/kind/images/*
    cp "$images"/*.tar "$TOOLS"/images/{shell,volumes}.tar "$root/kind/images/"
    cp "$TOOLS"/bin/{kubeadm,kubelet,kubectl} "$root/usr/bin/"
    install -m755 "$here/entrypoint" "$root/kind/entrypoint"
    echo "$version" >"$root/kind/version"
    cp "$here/../manifests/volumes.yaml" "$root/kind/manifests/default-storage.yaml"
    cat >"$root/etc/containerd/config.toml" <<END
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$pause"
  restrict_oom_score_adj = true
  tolerate_missing_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
END
    tar -C "$root" -c . | docker import -c 'ENTRYPOINT ["/kind/entrypoint"]' \
        -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' - "$name" >/dev/null
}

make_root() {
    rm -rf "$root"
    debootstrap --variant=minbase --include="$PACKAGES" bookworm "$root" >"$node/debootstrap.log"
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    touch "$node/rooted"
}

# kubeadm runs the control plane in pods, under the images' published names.
control_plane_image() {
    local name=${1##*/}
    name=${name%%:*}
    local program="$TOOLS/bin/$name=/usr/local/bin/$name" more=()
    case $name in
    pause) pause=$1 program="$TOOLS/images/pause=/pause" ;;
    coredns) program="$TOOLS/bin/coredns=/coredns" ;;
    kube-proxy) more=(--program /usr/sbin/nft=/usr/bin/nft) ;;
    esac
    python3 "$here/../../../scripts/image.py" "$1" "$images/$name.tar" --root --program "$program" "${more[@]}" >/dev/null
}

main
