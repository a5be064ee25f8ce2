"""While the operator is away the store goes on; what somebody breaks meanwhile is mended when it is back."""

import shop

PATIENCE = 420
ALONE = True
OPERATOR = ("-n", "atoll-system", "deployment/atoll")


def tell(story):
    shop.opens(story)
    story.kubectl("scale", *OPERATOR, "--replicas=0")
    try:
        story.eventually("no operator runs", lambda: not operators(story), 60)
        story.kubectl("delete", "service", "shop-us")
        story.kubectl("label", "statefulset/shop-ap", "atoll.dev/region=elsewhere", "--overwrite")
        story.kubectl("delete", "poddisruptionbudgets", "--all")
        shop.put(story, "eu", "alone", "without the operator")
        shop.is_read(story, ["ap"], "alone", "without the operator")
    finally:
        story.kubectl("scale", *OPERATOR, "--replicas=1")
    story.eventually("the Service is back", lambda: "shop-us" in story.names("services"), 120)
    story.eventually(
        "the label is back",
        lambda: story.get("statefulset/shop-ap")["metadata"]["labels"]["atoll.dev/region"] == "ap",
    )
    story.eventually("the budgets are back", lambda: story.names("poddisruptionbudgets"))
    story.wait("Ready", "geostore/shop")
    shop.is_read(story, ["us"], "alone", "without the operator")


def operators(story):
    return story.kubectl("get", "pods", "-n", "atoll-system", "-l", "app.kubernetes.io/component=operator", "-o", "name").split()
