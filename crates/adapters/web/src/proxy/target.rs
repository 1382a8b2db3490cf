//! The URL a request is passed on to.

use onering_problem::{Code, Problem};
use url::Url;

/// Puts a request's path and query behind an upstream's base.
///
/// A path with `.` or `..` segments, plain or percent-encoded, or with a backslash is refused: the URL parser would
/// resolve them after the route was chosen, and so lead out of the route whose scope was checked.
pub(super) fn target(base: &Url, path_and_query: &str) -> Result<Url, Problem> {
    let (path, query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    };
    if !path.starts_with('/') || path.contains(['\\', '#']) || path.split('/').any(is_dots) {
        return Err(Problem::new(Code::MalformedRequest)
            .detail("The path may not hold `.` or `..` segments, backslashes or `#`."));
    }
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url.set_query(query);
    Ok(url)
}

fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passed_on(base: &str, path: &str) -> Result<String, Code> {
        target(&base.parse().unwrap(), path).map(String::from).map_err(|problem| problem.code)
    }

    #[test]
    fn the_base_stays_and_the_path_follows() {
        let table = [
            ("http://up:1", "/rings?a=1&b=%20", "http://up:1/rings?a=1&b=%20"),
            ("http://up:1/", "/rings", "http://up:1/rings"),
            ("http://up:1/api/", "/rings/", "http://up:1/api/rings/"),
            ("http://up:1", "//elsewhere/rings", "http://up:1//elsewhere/rings"),
            ("http://up:1", "/a%2Fb", "http://up:1/a%2Fb"),
            ("http://up:1", "/..a/b..", "http://up:1/..a/b.."),
            ("http://up:1", "/@elsewhere:2", "http://up:1/@elsewhere:2"),
            ("http://up:1", "/rings?", "http://up:1/rings?"),
        ];
        for (base, path, expected) in table {
            assert_eq!(passed_on(base, path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn a_path_cannot_lead_out_of_its_route() {
        for path in
            ["/rings/../ledger", "/rings/%2e%2E/ledger", "/rings/.%2e", "/./x", "/a\\..\\b", "", "rings", "/a#b"]
        {
            assert_eq!(passed_on("http://up/", path), Err(Code::MalformedRequest), "{path}");
        }
    }

    proptest! {
        #[test]
        fn the_host_never_changes_and_the_prefix_stays(path in "/rings/[a-zA-Z0-9%./:@?#\\\\ -]{0,30}") {
            if let Ok(url) = target(&"http://up:1".parse().unwrap(), &path) {
                prop_assert_eq!((url.host_str(), url.port()), (Some("up"), Some(1)));
                prop_assert!(url.path().starts_with("/rings/"), "{}", url);
            }
        }
    }
}
