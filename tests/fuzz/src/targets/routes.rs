use api_gateway::reading::find_way;

use crate::Seen;

/// What parts the table from the calls.
const END_OF_TABLE: &str = "\n---\n";

/// A route table, then a call a line: method and path.
///
/// A table is used whole or refused with a reason. Whatever a table says, a call that is passed on had the route's prefix up to the
/// end of a segment, keeps within the bounds, and holds no dot segment that the product might resolve out of its route.
pub(super) fn routes(bytes: &[u8]) -> Seen {
    let text = String::from_utf8_lossy(bytes);
    let (table, calls) = text.split_once(END_OF_TABLE).unwrap_or((&text, "GET /v1/external/rings/1"));
    let mut seen = Vec::new();
    for call in calls.lines().take(8) {
        let (method, path) = call.split_once(' ').unwrap_or(("GET", call));
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        match find_way(table, method, path, query) {
            Ok(None) => seen.push(0),
            Ok(Some(way)) => {
                let rest = path.strip_prefix(&way.prefix).expect("the path has the prefix");
                assert!(rest.is_empty() || rest.starts_with('/'), "{path} is not beneath {}", way.prefix);
                assert!(way.prefix.starts_with("/v1/external/") && way.cost <= 10_000);
                assert!((1..=300).contains(&way.timeout.as_secs()) && way.body_cap <= 1 << 30);
                let (target, passed_query) = way
                    .target
                    .split_once('?')
                    .map_or((way.target.as_str(), None), |(target, query)| (target, Some(query)));
                assert!(target.starts_with('/') && target.ends_with(rest), "{target} for {path}");
                assert_eq!(passed_query.unwrap_or_default(), query.unwrap_or_default());
                assert!(!leaves_its_segment(rest), "{rest} is passed on");
                seen.push(1);
            }
            Err(reason) => {
                assert!(!reason.is_empty());
                seen.push(2 + reason.len().min(30));
            }
        }
    }
    Seen::of(seen)
}

/// Whether a reader that decodes twice, and takes a backward slash for a slash, would find `..` in it.
fn leaves_its_segment(path: &str) -> bool {
    let plain =
        path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/").replace("%5c", "/").replace('\\', "/");
    plain.split('/').any(|segment| matches!(segment.split(';').next(), Some("." | "..")))
}
