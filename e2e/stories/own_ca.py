"""Somebody brings a CA of their own: its Secret is missing at first, and the store says so; it signs; and when its content
changes, as cert-manager renews it, certificates follow."""

import shop

PATIENCE = 600
OWN = {"caSecretRef": {"name": "our-ca"}}


def tell(story):
    story.apply(shop.geostore(tls=OWN))
    story.apply(shop.collection("pages"))
    missing = story.eventually("the store says what it lacks", lambda: fault(story), 60)
    story.figure(f"without the Secret: {missing}")
    story.expect("no node runs without certificates", story.names("statefulsets") == [])
    bring(story, "First")
    story.wait("Converged", "geostore/shop", 240)
    story.expect("the CA signs", issuer(story) == "First")
    shop.put(story, "eu", "home", "signed by us")
    shop.is_read(story, ["us", "ap"], "home", "signed by us")
    bring(story, "Second")
    story.eventually("the next CA signs", lambda: issuer(story) == "Second", 120)
    story.eventually("the first one is trusted no more", lambda: bundle(story).count("BEGIN") == 1, 120)
    shop.is_read(story, ["us", "ap"], "home", "signed by us")
    story.kubectl("delete", "secret", "our-ca")
    story.eventually("the store says what it lacks", lambda: fault(story), 60)
    shop.put(story, "us", "home", "all the same")
    shop.is_read(story, ["eu", "ap"], "home", "all the same")
    bring(story, "Second", anew=False)
    story.wait("Ready", "geostore/shop")


def bring(story, name, anew=True):
    """A CA by openssl, with a key in the form that cert-manager writes by default."""
    key, certificate = story.path(f"{name}.key"), story.path(f"{name}.crt")
    if anew:
        story.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key], None, 20)
        asked = ["openssl", "req", "-x509", "-new", "-key", key, "-days", "400", "-subj", f"/CN={name}", "-out", certificate]
        story.run([*asked, "-addext", "keyUsage=critical,keyCertSign"], None, 20)
    made = story.kubectl("create", "secret", "tls", "our-ca", f"--cert={certificate}", f"--key={key}", "--dry-run=client", "-o", "yaml")
    story.apply(made)


def fault(story):
    found = shop.condition(story, "CertificatesValid")
    stalled = shop.condition(story, "Stalled")
    return found and found[1] == "CaNotUsable" and stalled and "our-ca" in found[2] and found[2]


def issuer(story):
    """The common name of the CA of the certificate that a node shows to clients."""
    with story.forwarded("shop-eu-0", 7400) as address:
        shown = story.run(["openssl", "s_client", "-connect", address, "-showcerts"], "", 20)
    line = next(line for line in shown.splitlines() if line.strip().startswith("i:"))
    return line.rsplit("CN", 1)[1].strip(" =")


def bundle(story):
    return story.get("configmap/shop-ca.crt")["data"]["ca.crt"]
