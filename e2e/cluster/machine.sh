#!/bin/bash
# The first process of one machine of a local cluster, in namespaces of its own (see local.sh).
#
#   machine.sh CLUSTER_DIRECTORY NAME node|control-plane
set -u
directory=$1 name=$2 role=$3
here=$(cd "$(dirname "$0")" && pwd)
. "$here/paths.sh"
. "$directory/network"
read -r _ address pods region < <(grep "^$name " "$directory/machines")
own=$directory/$name log=$directory/$name/log pki=$directory/pki
mkdir -p "$log"
exec >>"$log/machine.log" 2>&1

main() {
    hostname "$name"
    own_disks
    own_groups
    own_network
    write_configuration
    run containerd containerd --config "$own/containerd.toml"
    [ "$role" = node ] || control_plane
    until ctr version >/dev/null 2>&1; do sleep 0.1; done
    local image
    for image in "$TOOLS"/images/{pause,coredns,volumes,shell}.tar; do ctr -n k8s.io images import "$image"; done
    run kubelet kubelet --config="$own/kubelet.yaml" --kubeconfig="$pki/node-$name.conf" --hostname-override="$name" \
        --node-ip="$address" --node-labels="topology.kubernetes.io/region=$region,topology.kubernetes.io/zone=$region-a"
    run proxy kube-proxy --config="$own/proxy.yaml"
    trap 'exit 0' TERM
    while :; do sleep 3600 & wait; done
}

run() {   # LOG COMMAND...
    local to="$log/$1.log"
    shift
    "$@" >>"$to" 2>&1 &
}

# Directories that a node thinks are its own.
own_disks() {
    local at
    mount --make-rprivate /
    for at in /var/lib/kubelet /var/lib/containerd /var/lib/cni /etc/cni/net.d /var/log/pods /var/log/containers \
        /opt/local-path-provisioner; do
        mkdir -p "$own$at" "$at"
        mount --bind "$own$at" "$at"
    done
    for at in /run/containerd /run/netns; do
        mkdir -p "$at"
        mount -t tmpfs own "$at"
    done
    mount --make-rshared /   # a peer group of its own: nothing goes back to the host
}

# A group for the kubelet, in every hierarchy of version 1 or in the one of version 2.
own_groups() {
    local at controller
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        mkdir -p "/sys/fs/cgroup/atoll-e2e/$name"
        for at in /sys/fs/cgroup /sys/fs/cgroup/atoll-e2e "/sys/fs/cgroup/atoll-e2e/$name"; do
            for controller in $(cat "$at/cgroup.controllers"); do
                echo "+$controller" >"$at/cgroup.subtree_control" || true
            done
        done
        return
    fi
    for at in /sys/fs/cgroup/*/; do
        [ ! -e "$at/cgroup.procs" ] || mkdir -p "$at/atoll-e2e/$name"
    done
}

own_network() {
    ip link set lo up
    for _ in $(seq 100); do
        ! ip link show eth0 >/dev/null 2>&1 || break
        sleep 0.05
    done
    ip addr add "$address/24" dev eth0
    ip link set eth0 up
    ip route add default via "$GATEWAY"
    local other its_address its_pods
    while read -r other its_address its_pods _; do
        [ "$other" = "$name" ] || ip route add "$its_pods" via "$its_address"
    done <"$directory/machines"
    sysctl -qw net.ipv4.ip_forward=1
    sysctl -qw net.bridge.bridge-nf-call-iptables=1
    # Nothing answers there; an empty file would make containerd take the host's.
    echo "nameserver $GATEWAY" >"$own/resolv.conf"
}

control_plane() {
    run etcd etcd --name m --data-dir "$own/etcd" --listen-client-urls http://127.0.0.1:2379 \
        --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380 \
        --initial-advertise-peer-urls http://127.0.0.1:2380 --initial-cluster m=http://127.0.0.1:2380 --unsafe-no-fsync
    run apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --advertise-address="$address" --secure-port=6443 \
        --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --client-ca-file="$pki/ca.crt" \
        --service-account-issuer=https://kubernetes.default.svc.cluster.local --service-account-key-file="$pki/sa.pub" \
        --service-account-signing-key-file="$pki/sa.key" --service-cluster-ip-range="$SERVICE_CIDR" --allow-privileged=true \
        --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
        --default-not-ready-toleration-seconds=10 --default-unreachable-toleration-seconds=10 \
        --kubelet-certificate-authority="$pki/ca.crt" --kubelet-client-certificate="$pki/kubelet-client.crt" \
        --kubelet-client-key="$pki/kubelet-client.key" --kubelet-preferred-address-types=InternalIP \
        --requestheader-client-ca-file="$pki/front.crt" --requestheader-allowed-names=front-proxy-client \
        --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
        --requestheader-extra-headers-prefix=X-Remote-Extra- \
        --proxy-client-cert-file="$pki/proxy-client.crt" --proxy-client-key-file="$pki/proxy-client.key" \
        --audit-policy-file="$own/audit.yaml" --audit-log-path="$log/audit.log" --audit-log-maxsize=1000
    run controllers kube-controller-manager --kubeconfig="$pki/controllers.conf" --leader-elect=false \
        --authentication-kubeconfig="$pki/controllers.conf" --authorization-kubeconfig="$pki/controllers.conf" \
        --bind-address=127.0.0.1 --node-monitor-period=1s --node-monitor-grace-period=10s --use-service-account-credentials \
        --root-ca-file="$pki/ca.crt" --service-account-private-key-file="$pki/sa.key" \
        --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
        --requestheader-client-ca-file="$pki/front.crt"
    run scheduler kube-scheduler --kubeconfig="$pki/scheduler.conf" --leader-elect=false \
        --authentication-kubeconfig="$pki/scheduler.conf" --authorization-kubeconfig="$pki/scheduler.conf" --bind-address=127.0.0.1
}

write_configuration() {
    cat >/etc/cni/net.d/10-pods.conflist <<END
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipMasq": false,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$pods"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
END
    # restrict_oom_score_adj: root of a container or a small virtual machine may not lower it (no CAP_SYS_RESOURCE).
    cat >"$own/containerd.toml" <<END
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "e2e.local/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
END
    # What service accounts outside of Kubernetes itself ask for: who has rights that nobody uses?
    cat >"$own/audit.yaml" <<END
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, userGroups: ["system:nodes", "system:serviceaccounts:kube-system"]}
- {level: Metadata, userGroups: ["system:serviceaccounts"]}
- {level: None}
END
    # A shared disk that fills up must not evict pods, hence the thresholds of 0 %.
    cat >"$own/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $pki/node-$name.crt
tlsPrivateKeyFile: $pki/node-$name.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
clusterDNS: [$DNS]
clusterDomain: cluster.local
resolvConf: $own/resolv.conf
failCgroupV1: false
failSwapOn: false
cgroupDriver: cgroupfs
cgroupRoot: /atoll-e2e/$name
imageGCHighThresholdPercent: 100
evictionHard: {nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%", imagefs.inodesFree: "0%"}
syncFrequency: 10s
nodeStatusUpdateFrequency: 2s
nodeLeaseDurationSeconds: 8
END
    cat >"$own/proxy.yaml" <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: $name
clusterCIDR: $POD_CIDR
detectLocalMode: ClusterCIDR
clientConnection: {kubeconfig: $pki/proxy.conf}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
nodePortAddresses: [primary]
END
}

main
