//! Who listens where: loopback ports that are free.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::failure::Failure;

/// Free loopback addresses for `count` regions, from `first` on, or any when that is 0.
pub(crate) fn choose(first: u16, count: usize) -> Result<Vec<SocketAddr>, Failure> {
    // All are held until all are found, so that no port is given out twice.
    let mut held = Vec::with_capacity(count);
    for index in 0..count {
        let port = match u16::try_from(index)
            .ok()
            .and_then(|index| first.checked_add(index))
        {
            _ if first == 0 => 0,
            Some(port) => port,
            None => {
                return Err(Failure::usage(format!(
                    "there are not {count} ports from {first} on: choose a lower --port"
                )));
            }
        };
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| taken(port, &error))?;
        held.push(listener);
    }
    let addresses: io::Result<Vec<_>> = held.iter().map(TcpListener::local_addr).collect();
    Ok(addresses?)
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
