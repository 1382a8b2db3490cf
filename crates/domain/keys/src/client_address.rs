use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::cidr::any_contains;

/// Where a call really comes from.
///
/// Anyone can send an `X-Forwarded-For` header, so its hops are believed only as far as proxies we trust vouch for
/// them: each proxy adds, on the right, the address it was called from.
#[derive(Debug)]
pub enum ClientAddress {}

impl ClientAddress {
    /// The right-most hop that is no trusted proxy. `peer` is the other end of the connection, `forwarded_for` the
    /// header's lines in the order received.
    ///
    /// A hop that is no address ends the walk at the last one that was: what stands further left was vouched for by
    /// nobody. When all hops are trusted proxies, the left-most is the client.
    #[must_use]
    pub fn resolve(peer: IpAddr, forwarded_for: &[&str], trusted: &[IpNet]) -> IpAddr {
        let mut address = peer.to_canonical();
        for hop in forwarded_for.iter().rev().flat_map(|line| line.rsplit(',')) {
            if !any_contains(trusted, address) {
                break;
            }
            match parse_hop(hop) {
                Some(next) => address = next.to_canonical(),
                None => break,
            }
        }
        address
    }
}

/// An address, with a port or without, as proxies write it: `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    bare.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cidr::parse_cidr;

    fn resolve(peer: &str, forwarded_for: &[&str]) -> String {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|block| parse_cidr(block).unwrap());
        ClientAddress::resolve(peer.parse().unwrap(), forwarded_for, &trusted).to_string()
    }

    #[test]
    fn hops_are_believed_as_far_as_trusted_proxies_vouch_for_them() {
        let cases: [(&str, &[&str], &str); 15] = [
            // Nobody vouches: the peer itself, whatever it claims.
            ("203.0.113.9", &[], "203.0.113.9"),
            ("203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("203.0.113.9", &["10.0.0.1"], "203.0.113.9"),
            // One proxy, then two.
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            // A client that made up hops of its own: what is left of it does not count.
            ("10.0.0.1", &["127.0.0.1, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", &["10.9.9.9,198.51.100.1"], "198.51.100.1"),
            // The header in several lines is one list.
            ("10.0.0.1", &["198.51.100.1", "10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", &["192.0.2.1", "198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            // Only proxies: the left-most.
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &[], "10.0.0.1"),
            // Garbage ends the walk at the last good hop.
            ("10.0.0.1", &["198.51.100.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1, , 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1; 10.0.0.2"], "10.0.0.1"),
        ];
        for (peer, forwarded_for, client) in cases {
            assert_eq!(resolve(peer, forwarded_for), client, "{peer} {forwarded_for:?}");
        }
    }

    #[test]
    fn hops_come_with_ports_brackets_and_mapped() {
        let cases = [
            ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
            ("10.0.0.1", " 198.51.100.1 ", "198.51.100.1"),
            ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
            ("10.0.0.1", "[2001:db8::1]", "2001:db8::1"),
            ("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
            ("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
            ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
            ("fd00::1", "198.51.100.1", "198.51.100.1"),
        ];
        for (peer, hop, client) in cases {
            assert_eq!(resolve(peer, &[hop]), client, "{peer} {hop:?}");
        }
    }

    proptest! {
        #[test]
        fn an_untrusted_peer_cannot_choose_its_address(header in ".{0,80}", last in 1_u8..255) {
            let peer = format!("203.0.113.{last}");
            prop_assert_eq!(resolve(&peer, &[&header]), peer);
        }

        #[test]
        fn what_a_client_writes_cannot_hide_the_hop_a_proxy_saw(forged in "[0-9a-f.:, ]{0,60}", last in 1_u8..255) {
            let seen = format!("203.0.113.{last}");
            prop_assert_eq!(resolve("10.0.0.1", &[&format!("{forged},{seen}")]), seen.clone());
            prop_assert_eq!(resolve("10.0.0.1", &[&forged, &format!("{seen}, 10.0.0.2")]), seen);
        }
    }
}
