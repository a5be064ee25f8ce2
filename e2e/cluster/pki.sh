#!/bin/bash
# One authority, all certificates and kubeconfigs of a local cluster.
#
#   pki.sh DIRECTORY API_ADDRESS SERVICE_ADDRESS NODE=ADDRESS...
set -euo pipefail
directory=$1 api=$2 service=$3
shift 3

main() {
    mkdir -p "$directory"
    cd "$directory"
    authority ca kubernetes
    authority front front-proxy
    openssl genrsa -out sa.key 2048 2>/dev/null
    openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
    leaf apiserver ca /CN=kube-apiserver "IP:$api,IP:$service,IP:127.0.0.1,DNS:localhost,DNS:kubernetes,\
DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
    leaf kubelet-client ca /O=system:masters/CN=apiserver-kubelet-client
    leaf proxy-client front /CN=front-proxy-client
    user admin /O=system:masters/CN=admin
    user controllers /CN=system:kube-controller-manager
    user scheduler /CN=system:kube-scheduler
    user proxy /CN=system:kube-proxy
    local node
    for node in "$@"; do
        user "node-${node%=*}" "/O=system:nodes/CN=system:node:${node%=*}" "DNS:${node%=*},IP:${node#*=}"
    done
}

authority() {   # FILE NAME
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$2" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature \
        -keyout "$1.key" -out "$1.crt" 2>/dev/null
}

leaf() {   # FILE AUTHORITY SUBJECT [NAMES]
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$3" -keyout "$1.key" -out "$1.csr" 2>/dev/null
    openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days 30 -out "$1.crt" 2>/dev/null -extfile <(
        echo extendedKeyUsage=clientAuth,serverAuth
        echo keyUsage=critical,digitalSignature,keyEncipherment
        [ -z "${4:-}" ] || echo "subjectAltName=$4"
    )
    rm -f "$1.csr"
}

user() {   # FILE SUBJECT [NAMES]: a certificate, and the kubeconfig around it
    leaf "$1" ca "$2" "${3:-}"
    cat >"$1.conf" <<END
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://$api:6443", certificate-authority-data: $(base64 -w 0 ca.crt)}}]
users: [{name: u, user: {client-certificate-data: $(base64 -w 0 "$1.crt"), client-key-data: $(base64 -w 0 "$1.key")}}]
contexts: [{name: d, context: {cluster: c, user: u}}]
current-context: d
END
}

main "$@"
