"""Somebody with a kubeconfig and nothing else looks at a store, reads and writes with `kubectl atoll`, in every region;
somebody who may not read Secrets does all but administer it."""

import json
import os

import shop
from story import Failed

PATIENCE = 300
TABLE = ("Store shop", "REGION", "LINK", "COLLECTION")
MAY = """
    apiVersion: rbac.authorization.k8s.io/v1
    kind: Role
    metadata: { name: reader }
    rules:
    - { apiGroups: [atoll.dev], resources: [geostores], verbs: [list] }
    - { apiGroups: [""], resources: [pods], verbs: [list] }
    - { apiGroups: [""], resources: [pods/portforward], verbs: [get, create] }
    - { apiGroups: [""], resources: [configmaps], resourceNames: [shop-ca.crt], verbs: [get] }
    """


def tell(story):
    path = f"{story.plugin()}:{os.environ['PATH']}"

    def atoll(*arguments):
        return story.run(["kubectl", "atoll", "-n", story.namespace, *arguments], None, 60, PATH=path)

    try:
        installs = atoll("install")
    except Failed as failed:
        story.figure(f"left out: the image's program does not run on this machine: {failed}")
        return
    story.expect("what installs the operator is printed", "kind: CustomResourceDefinition" in installs)
    shop.opens(story)

    status = atoll("status")
    story.note(status)
    story.expect("status shows the store", all(word in status for word in TABLE) and "3 of 3 regions answer" in status)
    story.expect("links are shown", len(json.loads(atoll("links", "-o", "json"))) == 6)
    story.expect("nodes are shown", "eu-0" in atoll("nodes", "--region", "eu"))
    atoll("put", "pages", "home", '"from a desk"', "--region", "us")
    shop.is_read(story, shop.REGIONS, "home", "from a desk")
    story.expect("what was written is read", json.loads(atoll("get", "pages", "home", "--region", "ap")) == "from a desk")
    story.expect("regions are equal", "equal" in atoll("verify"))
    story.expect("the topology is shown", "AllToAll" in atoll("topology", "show"))
    story.expect("there are no conflicts", json.loads(atoll("conflicts", "list", "-o", "json"))["conflicts"] == [])
    told = story.refusal(lambda: atoll("get", "pages", "home", "--region", "nowhere"))
    story.expect("a region that is not there is said to be so", "no pod of region nowhere" in told)
    told = story.refusal(lambda: atoll("status", "--geostore", "other"))
    story.expect("a store that is not there is said to be so", "no GeoStore other" in told)

    reader = kubeconfig(story)
    shown = atoll("get", "pages", "home", "--kubeconfig", reader)
    story.expect("without the right to read Secrets, data are read", json.loads(shown) == "from a desk")
    told = story.refusal(lambda: atoll("region", "drain", "ap", "--no-wait", "--kubeconfig", reader))
    story.expect("and nothing is administered", "Forbidden" in told or "administrator" in told)
    story.note(told)


def kubeconfig(story):
    """Of a ServiceAccount that may look, and reach pods."""
    story.kubectl("create", "serviceaccount", "reader")
    story.apply(MAY)
    story.kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={story.namespace}:reader")
    token = story.kubectl("create", "token", "reader").strip()
    whole = json.loads(story.kubectl("config", "view", "--minify", "--raw", "-o", "json"))
    whole["users"][0]["user"] = {"token": token}
    return story.file("reader.json", json.dumps(whole))
