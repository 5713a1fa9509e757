//! Which peers are trusted to name the caller for whom they speak: addresses, networks, and the Unix socket.
//!
//! An IPv4 address and the same one mapped into IPv6 are equal, in the configuration and on a connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The proxies of `server.trusted_proxies`.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    networks: Vec<Network>,
    /// Whether every client of a Unix socket is trusted.
    pub(crate) unix: bool,
}

/// The addresses whose first bits are those of `base`; an IPv4 address counts as the IPv6 address it is mapped to.
#[derive(Debug, Clone, Copy)]
struct Network {
    base: u128,
    prefix: u32,
}

impl TrustedProxies {
    /// Adds an address, a network or `unix`; `None` when the text is none of them.
    pub(crate) fn add(&mut self, text: &str) -> Option<()> {
        if text == "unix" {
            self.unix = true;
        } else {
            self.networks.push(Network::parse(text)?);
        }
        Some(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether this peer is trusted; none is the client of a Unix socket.
    pub(crate) fn trust(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            None => self.unix,
            Some(address) => self.networks.iter().any(|network| network.contains(address)),
        }
    }

    /// The network that holds every IPv4 address, if there is one.
    pub(crate) fn everyone(&self) -> Option<&'static str> {
        let ends = [Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST];
        let whole =
            self.networks.iter().find(|network| ends.iter().all(|end| network.contains((*end).into())));
        whole.map(|network| if network.prefix == 0 { "::/0" } else { "0.0.0.0/0" })
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let mapped = if address.is_ipv4() { Ipv6Addr::BITS - Ipv4Addr::BITS } else { 0 };
        let prefix = match prefix {
            None => Ipv6Addr::BITS,
            // `parse` takes a plus.
            Some(bits) if !bits.starts_with('+') => bits.parse::<u32>().ok()?.checked_add(mapped)?,
            Some(_) => return None,
        };
        (prefix <= Ipv6Addr::BITS).then_some(Self { base: bits(address), prefix })
    }

    fn contains(self, address: IpAddr) -> bool {
        let differing = self.base ^ bits(address);
        differing.checked_shr(Ipv6Addr::BITS - self.prefix).unwrap_or(0) == 0
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusting(text: &str) -> Option<TrustedProxies> {
        let mut proxies = TrustedProxies::default();
        proxies.add(text).map(|()| proxies)
    }

    #[test]
    fn a_peer_is_trusted_when_an_address_or_network_has_it() {
        for (text, inside, outside) in [
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("192.0.2.1", "::ffff:192.0.2.1", "::192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.0"),
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("10.1.2.3/8", "10.0.0.0", "9.255.255.255"),
            ("192.0.2.128/25", "192.0.2.128", "192.0.2.127"),
            ("192.0.2.1/32", "192.0.2.1", "192.0.2.3"),
            ("0.0.0.0/0", "255.255.255.255", "2001:db8::1"),
            ("::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.0"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("2001:DB8::1", "2001:db8::1", "2001:db8::2"),
        ] {
            let trusted = trusting(text).unwrap();
            assert!(trusted.trust(Some(inside.parse().unwrap())), "{inside} in {text}");
            assert!(!trusted.trust(Some(outside.parse().unwrap())), "{outside} in {text}");
            assert!(!trusted.trust(None), "{text}");
        }
        let unix = trusting("unix").unwrap();
        assert!(unix.trust(None) && !unix.trust(Some(Ipv4Addr::LOCALHOST.into())));
    }

    #[test]
    fn what_is_no_address_and_no_network_is_rejected() {
        for text in [
            "",
            "localhost",
            "192.0.2",
            "192.0.2.1:80",
            "[::1]",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "/8",
            "10.0.0.0/-1",
            "::/129",
            "10.0.0.0/255.0.0.0",
            "fe80::1%eth0",
            "unix:/run/a.sock",
            "*",
            "10.0.0.0/8/8",
        ] {
            assert!(trusting(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_network_of_everyone_is_known() {
        for (text, everyone) in
            [("0.0.0.0/0", Some("0.0.0.0/0")), ("::/0", Some("::/0")), ("10.0.0.0/8", None), ("unix", None)]
        {
            assert_eq!(trusting(text).unwrap().everyone(), everyone, "{text}");
        }
    }
}
