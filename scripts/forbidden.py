#!/usr/bin/env python3
"""No crate that Atoll has ruled out is in Cargo.lock, whatever pulled it in."""

import re
import sys

FORBIDDEN = {
    "openssl": "rustls with ring is the only TLS",
    "openssl-sys": "rustls with ring is the only TLS",
    "native-tls": "rustls with ring is the only TLS",
    "boring": "rustls with ring is the only TLS",
    "aws-lc-rs": "ring is the only TLS provider",
    "aws-lc-sys": "ring is the only TLS provider",
    "aws-lc-fips-sys": "ring is the only TLS provider",
    "bincode": "unmaintained; stored bytes are prost in our own frames",
    "kube-leader-election": "lags behind kube; the operator has its own Lease code",
}


def main():
    with open("Cargo.lock", encoding="utf-8") as lock:
        locked = set(re.findall(r'^name = "(.+)"$', lock.read(), re.MULTILINE))
    found = sorted(locked & FORBIDDEN.keys())
    for name in found:
        print(f"forbidden: {name}: {FORBIDDEN[name]} (`cargo tree --invert {name}` shows who asks for it)")
    if found:
        sys.exit(1)
    print(f"forbidden: none of {len(FORBIDDEN)} ruled-out crates among {len(locked)}")


main()
