"""Nothing is said of certificates, and everything talks by TLS: clients by HTTPS, nodes and the operator with certificates
of the store's own CA. Who shows none, or one of another store, is refused where nodes are answered."""

import base64
import json

import shop

PATIENCE = 420
SHORT = True


def tell(story):
    shop.opens(story)
    for region in shop.REGIONS:
        shop.put(story, region, f"from-{region}", f"hello from {region}")
        shop.is_read(story, shop.REGIONS, f"from-{region}", f"hello from {region}")
    status, reason, message = shop.condition(story, "CertificatesValid")
    story.expect(f"certificates are valid: {message}", (status, reason) == ("True", "Issued"))
    ca = story.file("ca.crt", story.get("configmap/shop-ca.crt")["data"]["ca.crt"])
    with story.forwarded("shop-eu-0", 7400) as address:
        as_client(story, ca, address)
    with story.forwarded("shop-eu-0", 7401) as address:
        as_node(story, ca, address)
    change = shop.geostore(tls={"mode": "Plain"})
    told = story.refusal(lambda: story.apply(change))
    story.expect(f"a store that runs stays with TLS: {told}", "tls.mode never changes" in told)


def as_client(story, ca, address):
    status = curl(story, ca, address, "https://shop-eu:7400/v1/status")
    story.expect("clients know the server by its Service's name", '"region":"eu"' in status)
    plain = story.run(["curl", "-sS", "-m", "10", f"http://{address}/healthz"], None, 20)
    story.expect(f"plain HTTP is refused in words: {plain}", "https" in plain)


def as_node(story, ca, address):
    url = "https://shop-eu-0.shop-eu-nodes:7401/v1/status"
    told = story.refusal(lambda: curl(story, ca, address, url))
    story.expect(f"who shows no certificate is refused: {told}", "ertificate" in told)
    own = credentials(story, story.namespace)
    story.expect("an administrator is answered", '"region":"eu"' in curl(story, ca, address, url, own))
    other = f"{story.namespace}-other"
    story.kubectl("create", "namespace", other)
    try:
        story.kubectl("apply", "-n", other, "-f", "-", given=shop.geostore(regions=("eu",)))
        shown = story.eventually("another store has certificates", lambda: credentials(story, other), 60)
        told = story.refusal(lambda: curl(story, ca, address, url, shown))
        story.expect(f"another store's administrator is refused: {told}", "unknown ca" in told or "ertificate" in told)
    finally:
        story.kubectl("delete", "namespace", other, "--timeout=100s", timeout=110)


def curl(story, ca, address, url, shown=()):
    return story.run(["curl", "-sS", "-m", "10", "--cacert", ca, *shown, "--connect-to", f"::{address}", url], None, 20)


def credentials(story, namespace):
    """curl's arguments to show the administrator's certificate of the shop in a namespace."""
    data = json.loads(story.kubectl("get", "secret", "shop-operator", "-n", namespace, "-o", "json"))["data"]
    files = [story.file(f"{namespace}-{name}", base64.b64decode(data[name]).decode()) for name in ("tls.crt", "tls.key")]
    return ["--cert", files[0], "--key", files[1]]
