//! Who is at the other end of a connection, as log and audit lines say it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// An address, or nothing for a Unix socket, whose clients have none.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub Option<SocketAddr>);

impl Peer {
    /// The address without its port.
    pub fn ip(self) -> Option<IpAddr> {
        self.0.map(|address| address.ip())
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => write!(formatter, "{}", address.ip()),
            None => formatter.write_str("unix"),
        }
    }
}
