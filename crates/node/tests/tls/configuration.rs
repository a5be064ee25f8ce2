//! What a configuration must say when there are certificates, and what a node says that finds other ones.

use atoll_node::{Node, NodeConfig};

use crate::authority::{Authority, Leaf, node};
use crate::site::Site;

#[test]
fn what_is_half_tls_is_refused_by_name() {
    let site = Site::new(&[("eu", 1), ("us", 1)]);
    let [eu, us] = &site.places[..] else {
        panic!("two places")
    };
    let good = site.text(eu, "");
    assert!(NodeConfig::from_yaml("node.yaml", &good).is_ok());
    let without = |line: &str| {
        let lines = good.lines().filter(|l| !l.starts_with(line));
        lines.collect::<Vec<_>>().join("\n")
    };
    let listen = format!(", listen: \"{}\"", eu.nodes.address);
    let plain = |url: &str| good.replace(url, &url.replace("https://", "http://"));
    for (text, said) in [
        (
            without("tls"),
            "does not fit a node that has no certificates (tls): write http://",
        ),
        (plain(&us.nodes_url()), "peers: us: http://"),
        (plain(&eu.nodes_url()), "node: http://"),
        (good.replace(&listen, ""), "tls: give node.listen"),
        (without("node"), "tls: say which node this is"),
        (
            site.text(eu, ", plainClients: true, clientCa: /a"),
            "tls: clients of plain HTTP",
        ),
        (site.text(eu, ", cert: /a"), "unknown field `cert`"),
    ] {
        let told = NodeConfig::from_yaml("node.yaml", &text)
            .unwrap_err()
            .to_string();
        assert!(told.contains(said), "{told}");
    }
}

#[tokio::test]
async fn a_node_does_not_start_with_a_certificate_that_is_not_its_own() {
    let site = Site::new(&[("eu", 1)]);
    let place = &site.places[0];
    let ca = &site.authority;
    for (issued, said) in [
        (
            ca.issue(&Leaf::of(&node("eu", "eu-7"))),
            "/eu/eu-7, and this node is",
        ),
        (
            ca.issue(&Leaf {
                ends: 2020,
                ..Leaf::of(&place.name())
            }),
            "expired",
        ),
        (
            Authority::new("other").issue(&Leaf::of(&place.name())),
            "is not of a CA in ca",
        ),
    ] {
        place.write(&ca.pem(), &issued);
        let config = NodeConfig::from_yaml("node.yaml", &site.text(place, "")).unwrap();
        let Err(error) = Box::pin(Node::start(config)).await else {
            panic!("started: {said}")
        };
        let told = error.to_string();
        assert!(told.contains("tls.crt: ") && told.contains(said), "{told}");
    }
}
