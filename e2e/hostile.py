"""Manifests that are wrong, each with what is wrong and a word that the answer must have."""

PAIR = [{"name": "eu"}, {"name": "us"}]
THREE = [*PAIR, {"name": "ap"}]
MESH = {"type": "AllToAll"}


def store(topology=None, regions=None, name="wrong", **spec):
    given = {"topology": topology or MESH, "regions": PAIR if regions is None else regions}
    return object_of("GeoStore", name, given | spec)


def without(field):
    manifest = store()
    del manifest["spec"][field]
    return manifest


def template(**fields):
    return store(template=fields)


def collection(kind="Register", name="wrong", of="shop", **spec):
    return object_of("Collection", name, {"storeRef": {"name": of}, "type": kind} | spec)


def object_of(kind, name, spec, **metadata):
    metadata = {"name": name} | metadata
    return {"apiVersion": "atoll.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def name_of(manifest):
    """As kubectl takes it."""
    return f"{manifest['kind'].lower()}/{manifest['metadata']['name']}"


def ring(**more):
    return {"type": "Ring"} | more


def custom(*links):
    return {"type": "Custom", "links": [{"from": ends[0], "to": ends[1]} for ends in (link.split(">") for link in links)]}


# What is wrong, the manifest, a word of the API server's answer.
REFUSED = [
    ("no region", store(regions=[]), "spec.regions"),
    ("regions missing", without("regions"), "spec.regions: Required"),
    ("regions as a map", store(regions={"eu": {}}), "spec.regions"),
    ("one name twice", store(regions=[{"name": "eu"}, {"name": "eu"}]), "Duplicate"),
    ("too many regions", store(regions=[{"name": f"r{at}"} for at in range(17)]), "at most 16"),
    ("nobody leads", store(regions=[{"name": "eu", "role": "ReadOnly"}]), "give one the role Leader"),
    ("a role that is none", store(regions=[{"name": "eu", "role": "Boss"}]), '"Leader", "ReadOnly"'),
    ("two nodes a region", store(regions=[{"name": "eu", "replicas": 2}]), '"1", "3", "5"'),
    ("fewer than no nodes", store(regions=[{"name": "eu", "replicas": -1}]), '"1", "3", "5"'),
    ("half a node", store(regions=[{"name": "eu", "replicas": 1.5}]), "integer"),
    ("nodes in words", store(regions=[{"name": "eu", "replicas": "three"}]), "integer"),
    ("a region in capitals", store(regions=[{"name": "EU West"}]), "spec.regions[0].name"),
    ("a region in Greek", store(regions=[{"name": "ευρώπη"}]), "spec.regions[0].name"),
    ("a region without a name", store(regions=[{"role": "Leader"}]), "name"),
    ("a region with an empty name", store(regions=[{"name": ""}]), "spec.regions[0].name"),
    ("a region with a long name", store(regions=[{"name": "r" * 41}]), "40"),
    ("a store with a long name", store(name="s" * 41), "at most 40"),
    ("a store that begins with a digit", store(name="9wrong"), "beginning with a letter"),
    ("a store with a dot", store(name="wr.ong"), "name the store by"),
    ("names too long together", store(name="s" * 40, regions=[{"name": "europe"}]), "45 characters together"),
    ("no topology", without("topology"), "spec.topology: Required"),
    ("an unknown topology", store({"type": "Mesh"}), '"AllToAll", "Ring", "Star", "Custom"'),
    ("a topology in one word", store("AllToAll"), "object"),
    ("a star without a hub", store({"type": "Star"}), "add hub"),
    ("a hub that is no region", store({"type": "Star", "hub": "mars"}), "topology.hub is not in regions"),
    ("a hub of a mesh", store(MESH | {"hub": "eu"}), "remove it, or change the type"),
    ("a ring of two", store(ring()), "add regions, or use AllToAll"),
    ("a ring with two leaders", store(ring(), [*PAIR, {"name": "ap", "role": "ReadOnly"}]), "at least 3 regions with role Leader"),
    ("an order with a stranger", store(ring(order=["eu", "us", "mars"]), THREE), "write names of regions only"),
    ("an order with one twice", store(ring(order=["eu", "us", "eu"]), THREE), "Duplicate"),
    ("an order that leaves one out", store(ring(order=["eu", "us"]), THREE), "name every region once"),
    ("an order of a mesh", store(MESH | {"order": ["eu", "us"]}), "remove it, or change the type"),
    ("links of a mesh", store(MESH | {"links": [{"from": "eu", "to": "us"}]}), "remove them, or change the type"),
    ("no links", store({"type": "Custom"}), "add topology.links"),
    ("a link to nowhere", store(custom("eu>us", "us>eu", "eu>mars")), "write names of regions only"),
    ("a link to itself", store(custom("eu>us", "us>eu", "eu>eu")), "remove the link"),
    ("a link twice", store(custom("eu>us", "us>eu", "eu>us")), "Duplicate"),
    ("a region that nobody hears of", store(custom("eu>us", "us>eu", "us>ap"), THREE), "a link from it and a link to it"),
    ("ten thousand links", store(custom(*["eu>us"] * 10_000)), "at most 240"),
    ("a size in words", template(storage={"size": "much"}), "spec.template.storage.size"),
    ("a size below nothing", template(storage={"size": "-1Gi"}), "spec.template.storage.size"),
    ("a size as a number", template(storage={"size": 10}), "string"),
    ("a time in words", store(MESH | {"failoverAfter": "soon"}), "failoverAfter"),
    ("a time below nothing", store(MESH | {"failoverAfter": "-5s"}), "failoverAfter"),
    ("longer than the world lasts", store(MESH | {"failoverAfter": "99999999999999999999h"}), "failoverAfter"),
    ("memory in words", template(resources={"requests": {"memory": "lots"}}), "requests.memory"),
    ("no time at all", store(MESH | {"failoverAfter": "0s"}), "write 1s or more"),
    ("a lag of nothing", store(objectives={"maxLag": "0ms"}), "write more, such as 2s"),
    ("fewer than no rows", store(retention={"conflicts": {"maxRows": -1}}), "maxRows"),
    ("keeping nothing", store(retention={"maxSize": "0"}), "write more, such as 8Gi"),
    ("an endpoint of another kind", store(telemetry={"otlp": {"endpoint": "grpc://collector"}}), "spec.telemetry.otlp.endpoint"),
    ("an endpoint without a host", store(regions=[{"name": "eu", "location": {"cluster": "west", "endpoint": "https://:7400"}}]), "endpoint"),
    ("a place without a cluster", store(regions=[{"name": "eu", "location": {"endpoint": "https://eu:7400"}}]), "location.cluster: Required"),
    ("an endpoint without TLS", store(regions=[{"name": "eu", "location": {"cluster": "west", "endpoint": "http://eu:7400"}}]), "begin with https://"),
    ("a kind of TLS nobody knows", store(tls={"mode": "Maybe"}), '"Mutual", "Plain"'),
    ("plainly, with a new CA", store(tls={"mode": "Plain", "caRevision": 1}), "goes without certificates"),
    ("a new CA of two makers", store(tls={"caSecretRef": {"name": "ours"}, "caRevision": 1}), "write your new CA into the Secret"),
    ("certificates for a minute", store(tls={"certificateLifetime": "1m"}), "write at least 1h"),
    ("certificates of people who come plainly", store(tls={"clients": "Plain", "clientCaSecretRef": {"name": "people"}}), "show no certificate"),
    ("a canary that is no region", store(updateStrategy={"canary": "mars"}), "updateStrategy.canary is not in regions"),
    ("an id that is none", store(storeId="shop"), "spec.storeId"),
    ("volumes destroyed", store(deletionPolicy="Destroy"), '"Retain", "Delete"'),
    ("a version that is a sentence", store(version="the newest one"), "spec.version"),
    ("a version of 100,000 letters", store(version="v" * 100_000), "128"),
    ("labels of the operator", template(podLabels={"atoll.dev/store": "mine"}), "choose another prefix"),
    ("a pull policy that is none", template(imagePullPolicy="Sometimes"), "imagePullPolicy"),
    ("a hundred labels", template(podLabels={f"label-{at}": "x" for at in range(100)}), "64"),
    ("a word nobody knows", store(regionz=[]), "unknown field"),
    ("no object at all", "GeoStore\n", "error"),
    ("a collection of an unknown type", collection("Queue"), '"Register"'),
    ("a collection with a long name", collection(name="c" * 64), "at most 63"),
    ("a collection of no store", object_of("Collection", "wrong", {"type": "Register"}), "storeRef: Required"),
    ("a counter with a policy", collection("Counter", conflicts={"policy": "KeepSiblings"}), "remove conflicts"),
    ("priority without an order", collection(conflicts={"policy": "OriginPriority"}), "add origins"),
    ("an order without priority", collection(conflicts={"origins": ["eu"]}), "remove them, or change the policy"),
    ("a policy nobody knows", collection(conflicts={"policy": "FirstWriterWins"}), '"LastWriterWins"'),
    ("a link without ends", object_of("ReplicationLink", "wrong", {"storeRef": {"name": "shop"}}), "Required"),
]

SIZED = template(storage={"size": "2Gi", "storageClassName": "standard"})
PLACED = store(regions=[{"name": "eu", "location": {"cluster": "west"}}])
LINK = object_of("ReplicationLink", "by-hand", {"storeRef": {"name": "nobody"}, "from": "eu", "to": "us"})

# What is wrong, what is there, what it is changed into, a word of the API server's answer.
CHANGES = [
    ("a volume that shrinks", SIZED, template(storage={"size": "1Gi", "storageClassName": "standard"}), "cannot shrink"),
    ("a volume of another class", SIZED, template(storage={"size": "2Gi", "storageClassName": "fast"}), "never changes"),
    ("another id", store(), store(storeId="00000000000000ff"), "storeId never changes"),
    ("a store that gives up TLS", store(), store(tls={"mode": "Plain"}), "tls.mode never changes"),
    ("a region that moves", PLACED, store(regions=[{"name": "eu", "location": {"cluster": "east"}}]), "add a new region there"),
    ("a collection of another type", collection(), collection("Counter"), "make a new collection"),
    ("a collection of another store", collection(), collection(of="other"), "make a new one in the other store"),
    ("a link by hand that changes", LINK, object_of("ReplicationLink", "by-hand", LINK["spec"] | {"to": "ap"}), "change topology in the GeoStore"),
]

ISLANDS = custom("eu>us", "us>eu", "ap>sa", "sa>ap")

# What is wrong, the manifest, the condition that says so, its reason, a word of what to do.
TOLD = [
    ("two islands", store(ISLANDS, [*THREE, {"name": "sa"}]), "Stalled", "InvalidSpec", "add a link on the way"),
    ("larger than all disks", store(name="large", template={"storage": {"size": "99999999999Pi"}}), "Stalled", "Unreadable", "correct it"),
    ("a limit below what is asked for", store(name="limit", template={"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}), "Stalled", "Refused", "StatefulSet"),
    ("a label that is none", store(name="label", template={"podLabels": {"team": "the first one!"}}), "Stalled", "Refused", "StatefulSet"),
    ("a CA that is nowhere", store(name="without-ca", tls={"caSecretRef": {"name": "nowhere"}}), "Stalled", "CaNotUsable", "make it, or name another one"),
    ("an image that is a sentence", store(name="image", template={"image": "the newest one"}), "Reconciling", "Forming", "InvalidImageName"),
    ("an image that is nowhere", store(name="nowhere", template={"image": "nowhere.invalid/atoll:9", "imagePullPolicy": "Never"}), "Reconciling", "Forming", "ErrImageNeverPull"),
    ("a machine that is nowhere", store(name="machine", template={"nodeSelector": {"topology.kubernetes.io/region": "mars"}}), "Reconciling", "Forming", "node"),
    ("a class that is nowhere", store(name="class", template={"storage": {"storageClassName": "mars"}}), "StorageHealthy", "VolumesPending", "kubectl describe pvc"),
    ("a priority that is nowhere", store(name="priority", template={"priorityClassName": "mars"}), "Reconciling", "Forming", "kubectl describe statefulset"),
    ("a collection of no store", collection(of="nobody"), "Stalled", "StoreNotFound", "nobody"),
    ("an origin that is no region", collection(name="stranger", conflicts={"policy": "OriginPriority", "origins": ["mars"]}), "Stalled", "InvalidSpec", "mars"),
]
