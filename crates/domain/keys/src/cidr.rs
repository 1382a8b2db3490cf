use std::net::IpAddr;

use ipnet::IpNet;

/// The text is neither an address nor a block of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an address or a CIDR block, such as 203.0.113.7 or 203.0.113.0/24")]
pub struct CidrError;

/// Reads a block of addresses; an address alone is a block of one. Bits beyond the prefix are cleared, and an IPv4
/// block in IPv6 clothes is taken as IPv4, as addresses are compared in that form.
///
/// # Errors
/// When the text is neither.
pub fn parse_cidr(text: &str) -> Result<IpNet, CidrError> {
    const MAPPED_PREFIX: u8 = 96;
    let block = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse().map_err(|_| CidrError)?,
    };
    match (block.addr().to_canonical(), block.prefix_len().checked_sub(MAPPED_PREFIX)) {
        (IpAddr::V4(address), Some(prefix)) if block.addr().is_ipv6() => {
            IpNet::new(IpAddr::V4(address), prefix).map(|block| block.trunc()).map_err(|_| CidrError)
        }
        _ => Ok(block.trunc()),
    }
}

/// Whether the address lies in one of the blocks. An IPv4 address in IPv6 clothes counts as IPv4.
#[must_use]
pub fn any_contains(blocks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    blocks.iter().any(|block| block.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_single_addresses() {
        let cases = [
            ("203.0.113.7", "203.0.113.7/32"),
            ("203.0.113.7/24", "203.0.113.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("::ffff:203.0.113.7", "203.0.113.7/32"),
            ("::ffff:203.0.113.7/120", "203.0.113.0/24"),
            ("::/0", "::/0"),
        ];
        for (text, block) in cases {
            assert_eq!(parse_cidr(text).unwrap().to_string(), block, "{text}");
        }
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for text in ["", "localhost", "203.0.113.0/33", "203.0.113/24", "203.0.113.0/", "2001:db8::/129", "1.2.3.4 "] {
            assert_eq!(parse_cidr(text), Err(CidrError), "{text:?}");
        }
    }

    #[test]
    fn addresses_are_found_in_whatever_clothes() {
        let blocks = [parse_cidr("203.0.113.0/24").unwrap(), parse_cidr("2001:db8::/32").unwrap()];
        for (address, inside) in [
            ("203.0.113.200", true),
            ("::ffff:203.0.113.200", true),
            ("203.0.114.1", false),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(any_contains(&blocks, address.parse().unwrap()), inside, "{address}");
        }
        assert!(!any_contains(&[], "203.0.113.7".parse().unwrap()));
    }
}
