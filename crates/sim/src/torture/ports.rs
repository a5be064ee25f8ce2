//! Ports for nodes that are killed and come back.
//!
//! A node's port is free while it is down, so nobody else may be given it: it lies below the range from
//! which systems take ports by themselves, and is held as long as the run lasts by a UDP socket of the same
//! number, which other runs see and a node's TCP does not mind.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

const FIRST: u16 = 17_400;
const COUNT: u16 = 12_000;

/// A port of 127.0.0.1 that is ours until dropped.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    _held: UdpSocket,
}

impl Port {
    pub(crate) fn take() -> io::Result<Port> {
        // Where to begin differs between processes; where it ends is decided by what is free.
        let begin = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or(0);
        (0..COUNT)
            .map(|step| FIRST + (begin + step) % COUNT)
            .find_map(Port::of)
            .ok_or_else(|| io::Error::other("no port of 127.0.0.1 from 17400 to 29399 is free"))
    }

    fn of(number: u16) -> Option<Port> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, number));
        let held = UdpSocket::bind(address).ok()?;
        TcpListener::bind(address).ok()?;
        Some(Port {
            address,
            _held: held,
        })
    }
}
