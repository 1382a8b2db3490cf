//! Which addresses are out of bounds, by the registries of special-purpose addresses (RFC 6890 and its updates).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// Why an address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// "This network": reaches the machine itself on many systems.
    Unspecified,
    /// The machine itself.
    Loopback,
    /// A private network (RFC 1918, unique local).
    Private,
    /// Behind a carrier's NAT (RFC 6598).
    CarrierNat,
    /// The local link.
    LinkLocal,
    /// A cloud provider's metadata or control service.
    Metadata,
    /// Set aside for benchmarks.
    Benchmarking,
    /// Set aside for examples.
    Documentation,
    /// A group of machines.
    Multicast,
    /// Wraps another address in a way whose end cannot be judged (6to4, Teredo, local NAT64).
    Tunnel,
    /// Set aside for something else, or not assigned.
    Reserved,
}

impl Refusal {
    /// In words, as in "the address is {…}".
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::CarrierNat => "behind carrier-grade NAT",
            Self::LinkLocal => "link-local",
            Self::Metadata => "a metadata service",
            Self::Benchmarking => "set aside for benchmarks",
            Self::Documentation => "set aside for documentation",
            Self::Multicast => "multicast",
            Self::Tunnel => "a tunnel",
            Self::Reserved => "reserved",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(segments: [u16; 8], prefix: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

/// The first that matches names the reason, so single hosts stand before their networks.
const REFUSED_V4: &[(Ipv4Net, Refusal)] = &[
    (v4(169, 254, 169, 254, 32), Refusal::Metadata),
    (v4(169, 254, 170, 2, 32), Refusal::Metadata),
    (v4(100, 100, 100, 200, 32), Refusal::Metadata),
    // Public by number, yet reaches the host's control service from any Azure machine.
    (v4(168, 63, 129, 16, 32), Refusal::Metadata),
    (v4(0, 0, 0, 0, 8), Refusal::Unspecified),
    (v4(10, 0, 0, 0, 8), Refusal::Private),
    (v4(100, 64, 0, 0, 10), Refusal::CarrierNat),
    (v4(127, 0, 0, 0, 8), Refusal::Loopback),
    (v4(169, 254, 0, 0, 16), Refusal::LinkLocal),
    (v4(172, 16, 0, 0, 12), Refusal::Private),
    (v4(192, 0, 0, 0, 24), Refusal::Reserved),
    (v4(192, 0, 2, 0, 24), Refusal::Documentation),
    (v4(192, 88, 99, 0, 24), Refusal::Tunnel),
    (v4(192, 168, 0, 0, 16), Refusal::Private),
    (v4(198, 18, 0, 0, 15), Refusal::Benchmarking),
    (v4(198, 51, 100, 0, 24), Refusal::Documentation),
    (v4(203, 0, 113, 0, 24), Refusal::Documentation),
    (v4(224, 0, 0, 0, 4), Refusal::Multicast),
    (v4(240, 0, 0, 0, 4), Refusal::Reserved),
];

const REFUSED_V6: &[(Ipv6Net, Refusal)] = &[
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), Refusal::Unspecified),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), Refusal::Loopback),
    (v6([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254], 128), Refusal::Metadata),
    // RFC 8215: a network's own translation; where its IPv4 address stands is the network's secret.
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), Refusal::Tunnel),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), Refusal::Private),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), Refusal::LinkLocal),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), Refusal::Private),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), Refusal::Multicast),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), Refusal::Tunnel),
    (v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), Refusal::Benchmarking),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), Refusal::Documentation),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), Refusal::Reserved),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), Refusal::Tunnel),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), Refusal::Documentation),
];

/// The only part of IPv6 that is given out for global use.
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);
/// ::ffff:0:0/96: the system connects to the IPv4 address within.
const MAPPED: Ipv6Net = v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96);
/// 64:ff9b::/96: an IPv6-only network's way to the IPv4 address within (RFC 6052), so every receiver's in such a network.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);
const TEREDO: Ipv6Net = v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32);

/// Why this very address is refused; `None` when it is public. The address within another is not looked at here, see
/// [`inner`].
pub(crate) fn own_refusal(address: IpAddr) -> Option<Refusal> {
    match address {
        IpAddr::V4(address) => REFUSED_V4.iter().find(|(net, _)| net.contains(&address)).map(|(_, why)| *why),
        IpAddr::V6(address) if MAPPED.contains(&address) || NAT64.contains(&address) => None,
        IpAddr::V6(address) => {
            let listed = REFUSED_V6.iter().find(|(net, _)| net.contains(&address)).map(|(_, why)| *why);
            listed.or_else(|| (!GLOBAL_UNICAST.contains(&address)).then_some(Refusal::Reserved))
        }
    }
}

/// The IPv4 address that a packet to this address ends at, or may.
pub(crate) fn inner(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let bits = address.to_bits();
    // Truncation takes the lowest 32 bits, which is what is meant.
    let at = |shift: u32| Ipv4Addr::from_bits((bits >> shift) as u32);
    if MAPPED.contains(&address) || NAT64.contains(&address) {
        Some(at(0))
    } else if SIX_TO_FOUR.contains(&address) {
        Some(at(80))
    } else if TEREDO.contains(&address) {
        // The client's address is stored with all bits flipped (RFC 4380).
        Some(Ipv4Addr::from_bits(!at(0).to_bits()))
    } else {
        None
    }
}

/// Why an address is refused, the address within it included; `None` when it is public through and through.
///
/// Mapped addresses and those of the well-known NAT64 prefix are judged by what is within them: that is where the
/// packets go. Tunnels are refused whatever they hold.
#[must_use]
pub fn refusal(address: IpAddr) -> Option<Refusal> {
    own_refusal(address).or_else(|| own_refusal(IpAddr::V4(inner(address)?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judge(text: &str) -> Option<Refusal> {
        refusal(text.parse().unwrap())
    }

    #[test]
    fn edges_of_every_ipv4_range() {
        let inside = [
            ("0.0.0.0", "0.255.255.255", Refusal::Unspecified),
            ("10.0.0.0", "10.255.255.255", Refusal::Private),
            ("100.64.0.0", "100.127.255.255", Refusal::CarrierNat),
            ("127.0.0.0", "127.255.255.255", Refusal::Loopback),
            ("169.254.0.0", "169.254.255.255", Refusal::LinkLocal),
            ("172.16.0.0", "172.31.255.255", Refusal::Private),
            ("192.0.0.0", "192.0.0.255", Refusal::Reserved),
            ("192.0.2.0", "192.0.2.255", Refusal::Documentation),
            ("192.88.99.0", "192.88.99.255", Refusal::Tunnel),
            ("192.168.0.0", "192.168.255.255", Refusal::Private),
            ("198.18.0.0", "198.19.255.255", Refusal::Benchmarking),
            ("198.51.100.0", "198.51.100.255", Refusal::Documentation),
            ("203.0.113.0", "203.0.113.255", Refusal::Documentation),
            ("224.0.0.0", "239.255.255.255", Refusal::Multicast),
            ("240.0.0.0", "255.255.255.255", Refusal::Reserved),
            ("169.254.169.254", "169.254.169.254", Refusal::Metadata),
            ("168.63.129.16", "168.63.129.16", Refusal::Metadata),
        ];
        for (first, last, why) in inside {
            assert_eq!((judge(first), judge(last)), (Some(why), Some(why)), "{first} to {last}");
        }
        let outside = [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "8.8.8.8",
        ];
        for address in outside {
            assert_eq!(judge(address), None, "{address}");
        }
    }

    #[test]
    fn ipv6() {
        let cases = [
            ("::", Some(Refusal::Unspecified)),
            ("::1", Some(Refusal::Loopback)),
            ("::2", Some(Refusal::Reserved)),
            ("::7f00:1", Some(Refusal::Reserved)),
            ("fc00::1", Some(Refusal::Private)),
            ("fdff:ffff::1", Some(Refusal::Private)),
            ("fd00:ec2::254", Some(Refusal::Metadata)),
            ("fe80::1", Some(Refusal::LinkLocal)),
            ("febf::1", Some(Refusal::LinkLocal)),
            ("fec0::1", Some(Refusal::Private)),
            ("ff02::1", Some(Refusal::Multicast)),
            ("100::1", Some(Refusal::Reserved)),
            ("2001:db8::1", Some(Refusal::Documentation)),
            ("3fff:fff::1", Some(Refusal::Documentation)),
            ("2001:2::1", Some(Refusal::Benchmarking)),
            ("2001:10::1", Some(Refusal::Reserved)),
            ("4000::1", Some(Refusal::Reserved)),
            ("2606:4700:4700::1111", None),
            ("2a00:1450:4001::200e", None),
            ("2001:4860:4860::8888", None),
        ];
        for (address, wanted) in cases {
            assert_eq!(judge(address), wanted, "{address}");
        }
    }

    #[test]
    fn an_address_within_an_address() {
        let cases = [
            ("::ffff:8.8.8.8", None),
            ("::ffff:127.0.0.1", Some(Refusal::Loopback)),
            ("::ffff:169.254.169.254", Some(Refusal::Metadata)),
            ("64:ff9b::8.8.8.8", None),
            ("64:ff9b::10.0.0.1", Some(Refusal::Private)),
            ("64:ff9b:1::8.8.8.8", Some(Refusal::Tunnel)),
            ("64:ff9b:1:ffff::1", Some(Refusal::Tunnel)),
            ("64:ff9b:0:1::1", Some(Refusal::Reserved)),
            ("2002:0808:0808::1", Some(Refusal::Tunnel)),
            ("2002:7f00:0001::1", Some(Refusal::Tunnel)),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Some(Refusal::Tunnel)),
        ];
        for (address, wanted) in cases {
            assert_eq!(judge(address), wanted, "{address}");
        }
        let within = |text: &str| inner(text.parse().unwrap()).unwrap().to_string();
        assert_eq!(within("2002:7f00:0001::1"), "127.0.0.1");
        assert_eq!(within("2001:0:4136:e378:8000:63bf:3fff:fdd2"), "192.0.2.45");
    }

    proptest! {
        /// The standard library's own notion, as a second opinion.
        #[test]
        fn whatever_std_calls_special_is_refused(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let special = address.is_loopback() || address.is_private() || address.is_link_local() || address.is_multicast()
                || address.is_broadcast() || address.is_documentation() || address.is_unspecified() || address.octets()[0] == 0;
            prop_assert!(!special || refusal(address.into()).is_some(), "{address}");
        }

        #[test]
        fn wrapping_never_opens_what_is_closed(bits: u32, tail: u64, flag: u16) {
            let address = Ipv4Addr::from_bits(bits);
            let (high, low) = ((bits >> 16) as u16, bits as u16);
            let [a, b, c, d] = [(tail >> 48) as u16, (tail >> 32) as u16, (tail >> 16) as u16, tail as u16];
            let wrapped = [
                Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, a, b, c, d, flag),
                Ipv6Addr::new(0x2001, 0, a, b, flag, c, !high, !low),
            ];
            for outer in wrapped {
                prop_assert_eq!(inner(outer.into()), Some(address));
                prop_assert!(refusal(address.into()).is_none() || refusal(outer.into()).is_some(), "{} in {}", address, outer);
            }
        }

        #[test]
        fn outside_global_unicast_only_nat64_and_mapped_pass(bits: u128) {
            let address = Ipv6Addr::from_bits(bits);
            if refusal(address.into()).is_none() {
                prop_assert!(GLOBAL_UNICAST.contains(&address) || MAPPED.contains(&address) || NAT64.contains(&address));
            }
        }
    }
}
