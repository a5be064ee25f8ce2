"""Keys, values and clients are marked; none of the marks may be seen in a metric, a span or a log."""

from parts import Client

NAMES = [b"zqkey", b"zqvalue", b"zqclient", b"zqidem"]


def look(site):
    headers = {"user_agent": "zqclient", "idempotency_key": "zqidem-1", "x_request_id": "zqclient-2", "baggage": "user=zqclient"}
    for client in site.clients.values():
        client.put("pages", "zqkey-marked", "zqvalue-marked", **headers)
        client.ask("GET", "/v1/collections/pages/keys/zqkey-none?zqkey=1", headers={"user-agent": "zqclient"})
        client.ask("PUT", "/v1/collections/zqkey-none/keys/zqkey", b"{", {"content-type": "application/json", "user-agent": "zqclient"})
    site.rest(4)
    seen = {f"metrics of {region}": Client(port).ask("GET", "/metrics")[2] for region, port in site.ports.items()}
    seen["the collector's file"] = site.collected.read_bytes()
    for log in site.directory.glob("*.log"):
        seen[f"the log of {log.stem}"] = log.read_bytes()
    for what, text in seen.items():
        for name in NAMES:
            at = text.find(name)
            assert at < 0, f"{what} shows {name.decode()}: …{text[max(0, at - 150):at + 50]!r}"
    total = sum(len(text) for text in seen.values())
    print(f"  {len(seen)} places, {total >> 10} KiB: no mark of a key, a value or a client", flush=True)
