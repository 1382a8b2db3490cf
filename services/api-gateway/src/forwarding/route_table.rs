//! [`RouteTable`]: reading and matching. Pure.

use std::sync::Arc;

use actix_web::http::Method;
use serde::Deserialize;

use super::route::{Route, RouteEntry};

/// Which calls go where.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    /// The longest prefix first.
    routes: Vec<Arc<Route>>,
}

/// Why a text is no route table.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RouteTableError {
    /// It is not TOML of the right shape.
    #[error("the route table cannot be read")]
    Toml(#[source] toml::de::Error),
    /// An entry is wrong.
    #[error("the route of {prefix} cannot be used: {problem}")]
    Route {
        /// Whose entry.
        prefix: String,
        /// What is wrong.
        problem: String,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    route: Vec<RouteEntry>,
}

/// What the table says of a call.
#[derive(Debug)]
pub(crate) enum Match<'a> {
    /// It goes this way; beside it what stands behind the prefix in its path.
    Route(Arc<Route>, &'a str),
    /// Calls with these other methods would go somewhere.
    WrongMethod(Vec<Method>),
    /// It goes nowhere.
    Nothing,
}

impl RouteTable {
    /// Reads a table.
    ///
    /// # Errors
    /// With the first thing that is wrong: a table is used whole or not at all.
    pub(crate) fn parse(text: &str) -> Result<Self, RouteTableError> {
        let file: File = toml::from_str(text).map_err(RouteTableError::Toml)?;
        let mut routes: Vec<Arc<Route>> = Vec::with_capacity(file.route.len());
        for entry in file.route {
            let prefix = entry.prefix.clone();
            let refused = |problem| RouteTableError::Route { prefix: prefix.clone(), problem };
            let route = Route::try_from(entry).map_err(refused)?;
            let twin = |other: &&Arc<Route>| other.prefix == route.prefix && overlap(&other.methods, &route.methods);
            if routes.iter().find(twin).is_some() {
                return Err(refused("another entry has the same prefix and one of the methods".to_owned()));
            }
            routes.push(Arc::new(route));
        }
        routes.sort_by_key(|route| std::cmp::Reverse(route.prefix.len()));
        Ok(Self { routes })
    }

    /// How many routes there are.
    pub(crate) fn len(&self) -> usize {
        self.routes.len()
    }

    /// Where a call goes. The longest prefix decides, also when it does not take the method and a shorter one would.
    pub(crate) fn find<'a>(&self, method: &Method, path: &'a str) -> Match<'a> {
        let Some((first, rest)) = self.routes.iter().find_map(|route| Some((route, route.rest_of(path)?))) else {
            return Match::Nothing;
        };
        let same_prefix = || self.routes.iter().filter(|route| route.prefix == first.prefix);
        if let Some(route) = same_prefix().find(|route| route.takes(method)) {
            return Match::Route(Arc::clone(route), rest);
        }
        Match::WrongMethod(same_prefix().flat_map(|route| route.methods.iter().cloned()).collect())
    }
}

fn overlap(one: &[Method], other: &[Method]) -> bool {
    one.iter().any(|method| other.contains(method))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(prefix: &str, further: &str) -> String {
        format!("[[route]]\nprefix = \"/v1/external/{prefix}\"\nupstream = \"http://up/{prefix}\"\n{further}\n")
    }

    fn table(entries: &[(&str, &str)]) -> RouteTable {
        let text: String = entries.iter().map(|(prefix, further)| entry(prefix, further)).collect();
        RouteTable::parse(&text).unwrap()
    }

    fn target(table: &RouteTable, method: &Method, path: &str) -> String {
        match table.find(method, path) {
            Match::Route(route, rest) => route.upstream_target(rest, Some("q=1")),
            Match::WrongMethod(allowed) => allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(","),
            Match::Nothing => "nothing".to_owned(),
        }
    }

    #[test]
    fn the_longest_prefix_decides_on_segment_ends_and_by_method() {
        let table = table(&[
            ("rings", "methods = [\"GET\"]"),
            ("rings", "methods = [\"POST\"]\nscope = \"write:rings\"\ncost = 5"),
            ("rings/vault", "methods = [\"DELETE\"]"),
        ]);
        assert_eq!(table.len(), 3);
        let at = |method, path| target(&table, method, path);
        assert_eq!(at(&Method::GET, "/v1/external/rings"), "/rings?q=1");
        assert_eq!(at(&Method::HEAD, "/v1/external/rings/7"), "/rings/7?q=1");
        assert_eq!(at(&Method::POST, "/v1/external/rings/"), "/rings/?q=1");
        assert_eq!(at(&Method::PUT, "/v1/external/rings"), "GET,POST");
        assert_eq!(at(&Method::DELETE, "/v1/external/rings/vault/1"), "/rings/vault/1?q=1");
        assert_eq!(at(&Method::GET, "/v1/external/rings/vault"), "DELETE", "no way around by a shorter prefix");
        for path in ["/v1/external/ringside", "/v1/external", "/v1/external/drafts", "/rings", "/v1/external/Rings"] {
            assert_eq!(at(&Method::GET, path), "nothing", "{path}");
        }
    }

    #[test]
    fn the_upstreams_path_takes_the_prefixs_place() {
        for (upstream, path, expected) in [
            ("http://up", "", "/"),
            ("http://up/", "/7", "/7"),
            ("http://up/api/v2/", "/7", "/api/v2/7"),
            ("http://up/api", "", "/api"),
        ] {
            let text = format!("[[route]]\nprefix = \"/v1/external/x\"\nupstream = \"{upstream}\"\n");
            let table = RouteTable::parse(&text).unwrap();
            let path = format!("/v1/external/x{path}");
            let Match::Route(route, rest) = table.find(&Method::GET, &path) else { panic!("{path} goes nowhere") };
            assert_eq!(route.upstream_target(rest, None), expected);
        }
    }

    #[test]
    fn a_table_that_is_wrong_anywhere_is_not_used() {
        let one = entry("rings", "");
        let bad = [
            "route = 1".to_owned(),
            "[[routes]]".to_owned(),
            entry("rings", "scopes = \"x:y\""),
            entry("rings", "scope = \"Read Rings\""),
            entry("rings", "methods = []"),
            entry("rings", "methods = [\"get\"]"),
            entry("rings", "cost = -1"),
            entry("rings", "timeout_seconds = 0"),
            entry("rings/", ""),
            entry("rings/../x", ""),
            entry("r%69ngs", ""),
            entry("", ""),
            entry("webhooks/x", ""),
            one.replace("/v1/external/rings\"", "/v1/admin/rings\""),
            one.replace("http://up", "ftp://up"),
            one.replace("http://up", "http://user:pw@up"),
            format!("{one}{one}"),
        ];
        for text in bad {
            assert!(RouteTable::parse(&text).is_err(), "{text}");
        }
        assert_eq!(RouteTable::parse("").unwrap().len(), 0);
    }

    proptest! {
        #[test]
        fn the_match_is_the_longest_prefix_of_the_path(
            prefixes in prop::collection::btree_set("[ab]{1,2}(/[ab]{1,2}){0,2}", 1..6),
            path in "[ab]{1,2}(/[ab]{1,2}){0,3}/?",
        ) {
            let entries: Vec<_> = prefixes.iter().map(|prefix| (prefix.as_str(), "")).collect();
            let table = table(&entries);
            let covers = |prefix: &&String| path == **prefix || path.starts_with(&format!("{prefix}/"));
            let expected = prefixes.iter().filter(covers).max_by_key(|prefix| prefix.len());
            let full = format!("/v1/external/{path}");
            match (table.find(&Method::GET, &full), expected) {
                (Match::Route(route, rest), Some(prefix)) => {
                    prop_assert_eq!(&route.prefix, &format!("/v1/external/{prefix}"));
                    prop_assert_eq!(format!("{}{rest}", route.prefix), full);
                }
                (Match::Nothing, None) => {}
                (found, expected) => prop_assert!(false, "{:?} instead of {:?}", found, expected),
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "(\\[\\[route\\]\\]\n)?[a-z_]{0,10} = .{0,30}\n.{0,30}") {
            let _ = RouteTable::parse(&text);
        }
    }
}
