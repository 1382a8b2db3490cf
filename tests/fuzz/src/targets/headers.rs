use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use onering_delivery::retry_after as header;
use onering_keys::{ClientAddress, any_contains, parse_cidr};

use super::lines;
use crate::Seen;

/// A receiver's `Retry-After` is never a wait beyond the bound, spaces around it say nothing, and a number means itself.
pub(super) fn retry_after(bytes: &[u8]) -> Seen {
    let text = String::from_utf8_lossy(bytes);
    let now = DateTime::<Utc>::from_timestamp(784_111_777, 0).expect("the time of RFC 9110's examples");
    let wait = header::parse(&text, now);
    assert!(wait.is_none_or(|wait| wait <= header::LONGEST));
    assert_eq!(
        wait.is_some(),
        header::parse(&text, DateTime::<Utc>::MIN_UTC).is_some(),
        "what is understood hangs on the clock"
    );
    assert_eq!(
        wait.is_some(),
        header::parse(&text, DateTime::<Utc>::MAX_UTC).is_some(),
        "what is understood hangs on the clock"
    );
    if text.len() < 60 {
        assert_eq!(wait, header::parse(&format!("\t{text} "), now));
    }
    if let Ok(seconds) = text.parse::<u32>()
        && !text.starts_with('+')
        && text.len() < 60
    {
        assert_eq!(wait, Some(Duration::from_secs(u64::from(seconds)).min(header::LONGEST)));
    }
    Seen::of((wait.map(|wait| wait.as_secs().min(2)), text.len().min(70), text.contains(':')))
}

/// Lines of CIDR blocks, then a peer, then `X-Forwarded-For`.
///
/// A block comes back from its text and holds its own address. The client is the peer, or a hop of the header that every hop
/// to its right, and the peer, vouched for by being trusted.
pub(super) fn addresses(bytes: &[u8]) -> Seen {
    let lines = lines(bytes);
    let blocks: Vec<_> = lines.iter().filter_map(|line| parse_cidr(line).ok()).collect();
    for block in &blocks {
        assert_eq!(parse_cidr(&block.to_string()), Ok(*block));
        assert!(any_contains(&[*block], block.addr()), "{block} is without its own address");
        assert_eq!(block.addr(), block.network(), "bits are left beyond the prefix");
    }
    let peer = lines[0].parse().unwrap_or(IpAddr::from([192, 0, 2, 1]));
    let forwarded: Vec<&str> = lines.iter().map(String::as_str).collect();
    let client = ClientAddress::resolve(peer, &forwarded, &blocks);
    assert_eq!(ClientAddress::resolve(peer, &forwarded, &[]), peer.to_canonical(), "nobody is trusted");
    assert_eq!(ClientAddress::resolve(peer, &[], &blocks), peer.to_canonical());
    if client != peer.to_canonical() {
        assert!(any_contains(&blocks, peer), "a stranger's word is taken");
        let hops = forwarded.iter().flat_map(|line| line.split(','));
        assert!(hops.into_iter().any(|hop| named(hop) == Some(client)), "{client} was never named");
    }
    Seen::of((blocks.len().min(3), blocks.iter().any(|block| block.addr().is_ipv6()), client == peer, client.is_ipv6()))
}

/// Any address in a hop, however it is written.
fn named(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let socket = hop.parse::<std::net::SocketAddr>().ok().map(|socket| socket.ip());
    let address: Option<IpAddr> = hop.trim_start_matches('[').trim_end_matches(']').parse().ok().or(socket);
    address.map(|address| address.to_canonical())
}
