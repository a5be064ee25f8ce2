"""A new CA takes the place of the old one while a load runs: no request fails, no pod restarts. Secrets that somebody
deletes or damages come back."""

import concurrent.futures
import json

import shop

PATIENCE = 900
SECONDS = 150


def tell(story):
    shop.opens(story)
    before = (issuers(story), restarts(story))
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        loads = [pool.submit(load, story, region) for region in shop.REGIONS]
        story.apply(shop.geostore(tls={"caRevision": 1}))
        seen = set()
        story.eventually("the new CA is in place, and the old one gone", lambda: is_changed(story, seen), SECONDS)
        deleted = story.get("secret/shop-us-tls")["data"]
        story.kubectl("delete", "secret", "--all")
        story.eventually("what was deleted is back as it was", lambda: data(story, "shop-us-tls") == deleted, 30)
        story.kubectl("patch", "secret", "shop-us-tls", "--type=merge", "-p", '{"data": {"shop-us-0.key": "bm8ga2V5"}}')
        story.eventually("what was damaged is as it was", lambda: data(story, "shop-us-tls") == deleted, 30)
        outcomes = [done.result() for done in loads]
    for outcome in outcomes:
        story.expect(f"no request failed: {outcome['errors']}", outcome["errors"] == {})
    story.figure(f"requests while the CA changed: {sum(outcome['items'] for outcome in outcomes)}, failed: 0")
    story.figure(f"worst latency: {max(outcome['latencySeconds']['max'] for outcome in outcomes)} s")
    story.figure(f"seen: {'; '.join(sorted(seen))}")
    after = (issuers(story), restarts(story))
    story.expect(f"nothing was restarted: {after[1]}", after[1] == before[1])
    story.expect("every node's certificate is another one", all(after[0][pod] != before[0][pod] for pod in before[0]))
    story.wait("Ready", "geostore/shop")


def load(story, region):
    said = story.atoll(
        f"shop-{region}-0", "bench", "--connections", "5", "--duration", f"{SECONDS}s", "--keys", "200", "-o", "json",
        "--server", shop.SERVER.format(region), timeout=SECONDS + 60,
    )
    return json.loads(said)


def is_changed(story, seen):
    found = shop.condition(story, "CertificatesValid")
    if found:
        seen.add(f"{found[1]}: {found[2]}")
    bundle = story.get("configmap/shop-ca.crt")["data"]["ca.crt"]
    return found and found[:2] == ("True", "Issued") and any("ChangingCa" in text for text in seen) and bundle.count("BEGIN") == 1


def data(story, name):
    found = story.kubectl("get", "secret", name, "--ignore-not-found", "-o", "json")
    return json.loads(found)["data"] if found.strip() else None


def issuers(story):
    """What each node shows, by its Secret."""
    return {f"shop-{region}-0": data(story, f"shop-{region}-tls")[f"shop-{region}-0.crt"] for region in shop.REGIONS}


def restarts(story):
    pods = story.get("pods", "-l", "atoll.dev/store=shop")["items"]
    return {pod["metadata"]["name"]: (pod["metadata"]["uid"], sum(c["restartCount"] for c in pod["status"]["containerStatuses"])) for pod in pods}
