//! Who listens where: loopback ports that are free.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use atoll_api::manifest::StoreManifest;

use crate::failure::Failure;

/// Where ports are looked for when any will do: below those that systems give to outgoing connections, one
/// of which could take a port before its node has it.
const ANY: std::ops::Range<u16> = 10_000..30_000;
const ATTEMPTS_MAX: usize = 1000;

/// Free loopback addresses for every node of every region: first each region's first node, in order, as if
/// it were alone; then the others.
pub(crate) fn of_nodes(
    first: u16,
    manifest: &StoreManifest,
) -> Result<Vec<Vec<SocketAddr>>, Failure> {
    let replicas = || {
        manifest
            .regions
            .iter()
            .map(|r| usize::from(r.replicas.get()))
    };
    let mut free = choose(first, replicas().sum())?.into_iter();
    let mut nodes: Vec<Vec<_>> = free
        .by_ref()
        .take(manifest.regions.len())
        .map(|a| vec![a])
        .collect();
    for (nodes, replicas) in nodes.iter_mut().zip(replicas()) {
        nodes.extend(free.by_ref().take(replicas - 1));
    }
    Ok(nodes)
}

/// Free loopback addresses for `count` nodes, from `first` on, or any when that is 0.
pub(crate) fn choose(first: u16, count: usize) -> Result<Vec<SocketAddr>, Failure> {
    // All are held until all are found, so that no port is given out twice.
    let held = if first == 0 {
        any(count)?
    } else {
        following(first, count)?
    };
    let addresses: io::Result<Vec<_>> = held.iter().map(TcpListener::local_addr).collect();
    Ok(addresses?)
}

fn any(count: usize) -> Result<Vec<TcpListener>, Failure> {
    let mut held = Vec::with_capacity(count);
    for _ in 0..ATTEMPTS_MAX {
        if held.len() == count {
            return Ok(held);
        }
        held.extend(listen(rand::random_range(ANY)));
    }
    Err(Failure::new("no free ports were found").help("name the first one with --port"))
}

fn following(first: u16, count: usize) -> Result<Vec<TcpListener>, Failure> {
    let too_many = || {
        let told = format!("there are not {count} ports from {first} on");
        Failure::usage(told).help("choose a lower --port")
    };
    let port = |index| first.checked_add(u16::try_from(index).ok()?);
    let ports = (0..count).map(|index| port(index).ok_or_else(too_many));
    ports
        .map(|port| port.and_then(|port| listen(port).map_err(|error| taken(port, &error))))
        .collect()
}

fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
}

fn taken(port: u16, error: &io::Error) -> Failure {
    let failure = Failure::new(format!("port {port} cannot be used: {error}"));
    if error.kind() == io::ErrorKind::AddrInUse {
        failure.help(
            "is another store running? End it, or choose other ports with --port (0 takes any)",
        )
    } else {
        failure.help("choose other ports with --port (0 takes any)")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn any_ports_are_all_different() {
        let mut ports: Vec<_> = choose(0, 5).unwrap().iter().map(SocketAddr::port).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 5);
    }

    #[test]
    fn a_taken_port_is_named() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let told = choose(port, 1).unwrap_err().to_string();
        assert!(told.contains(&port.to_string()), "{told}");
        assert!(choose(65535, 2).is_err());
    }
}
