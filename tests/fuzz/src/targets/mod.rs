//! The targets, by what their parsers read.

mod credentials;
mod events;
mod headers;
mod json;
mod lists;
mod names;
mod receivers;
mod redis;
mod refusals;
mod routes;
mod subscriptions;

use crate::Target;

/// Words of JSON.
const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1e999",
    "\\u0000",
    "\\ud800",
    "\\ud83d\\ude00",
    "\"\"",
    "{}",
    "[]",
    "\\\"",
    "\u{feff}",
    "\u{fffd}",
];

const EVENT: &[&str] = &[
    "\"event_type\"",
    "\"data\"",
    "\"occurred_at\"",
    "\"owner_id\"",
    "\"idempotency_key\"",
    "\"*\"",
    "ring.forged",
    "a/b",
    "2016-12-31T23:59:60.5Z",
    "9999-12-31T23:59:59-01:00",
    "+00:00",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\n",
    "\r\n",
    "\\u0000",
    "\\udc00",
    "1e400",
    "-0.0",
    "null",
];

const SUBSCRIPTION: &[&str] = &[
    "\"url\"",
    "\"events\"",
    "\"description\"",
    "\"headers\"",
    "\"timeout_seconds\"",
    "\"max_in_flight\"",
    "\"rate_limit_per_second\"",
    "\"max_event_age_seconds\"",
    "\"signature_schemes\"",
    "\"retry_client_errors\"",
    "\"filter\"",
    "\"status\"",
    "https://",
    "http://[::1]",
    "xn--",
    "@",
    "#",
    "\"*\"",
    "ring.*",
    "x-webhook",
    "webhook-id",
    "\"Host\"",
    "null",
    "true",
    "\\r\\n",
    "\\u00e9",
    "exists",
    "prefix",
    "anything-but",
    "numeric",
    "{",
    "}",
    "[",
    "]",
];

const FILTER: &[&str] = &[
    "\"exists\"",
    "\"prefix\"",
    "\"anything-but\"",
    "\"numeric\"",
    "\"<\"",
    "\"<=\"",
    "\"=\"",
    "\">=\"",
    "\">\"",
    ".",
    "-1",
    "\"a.b.0\"",
    "1e400",
    "0.1",
    "1.0",
    "100000000000000000001",
    "null",
    "true",
    "\n",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
];

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "access_token",
        run: credentials::access_token,
        words: &["osk_", "oak_", "Bearer ", "bearer", "\n", "\t"],
    },
    Target {
        name: "addresses",
        run: headers::addresses,
        words: &["::ffff:", "/96", "/0", "/128", "[", "]:80", ",", "\n", "1.2.3.4"],
    },
    Target { name: "batch", run: events::batch, words: EVENT },
    Target { name: "cursor", run: lists::cursor, words: &["-", "_", "=", "AAAA", "key_", "aud_"] },
    Target { name: "event", run: events::event, words: EVENT },
    Target { name: "filter", run: subscriptions::filter, words: FILTER },
    Target {
        name: "flags",
        run: names::flags,
        words: &["0", "1", "on", "OFF", "true", "12.5", "100", "0.001", "\u{85}", "\u{2028}"],
    },
    Target { name: "idempotency_key", run: credentials::idempotency_key, words: &["\u{7f}", " ", "~", "!", "\u{e9}"] },
    Target {
        name: "ids",
        run: names::ids,
        words: &["key_", "evt_", "wh_", "dlv_", "*", ".*", ":", "8zzz", "read:", "/"],
    },
    Target { name: "json", run: json::json, words: JSON },
    Target {
        name: "query",
        run: lists::query,
        words: &["limit=", "cursor=", "status=", "from=", "to=", "&", "=", "%00", "%ff", "+", "%2B", "event_id="],
    },
    Target { name: "receiver_answer", run: receivers::answer, words: &["\u{fffd}", "\0", "\r\n", "REPLAY_EXPIRED"] },
    Target {
        name: "retry_after",
        run: headers::retry_after,
        words: &[
            "Sun, ",
            "GMT",
            "06 Nov 1994",
            "08:49:37",
            "Sunday, 06-Nov-94",
            "Nov  6",
            "99999999999999999999",
            "\t",
            ":60",
        ],
    },
    Target {
        name: "routes",
        run: routes::routes,
        words: &[
            "[[route]]",
            "prefix = ",
            "upstream = ",
            "methods = ",
            "scope = ",
            "cost = ",
            "timeout_seconds = ",
            "body_cap_bytes = ",
            "/v1/external/",
            "http://",
            "..",
            "%2e",
            "%2f",
            ";",
            "\\",
            "\n---\n",
            "\"\"\"",
            "GET",
        ],
    },
    Target {
        name: "signature",
        run: credentials::signature,
        words: &[
            "t=",
            "e=",
            "v1=",
            "v1p=",
            ",",
            "v1,",
            "v1a,",
            " ",
            "$",
            "X-Webhook-Signature: ",
            "webhook-signature: ",
            "webhook-id: ",
            "webhook-timestamp: ",
            "X-Webhook-Timestamp: ",
            "X-Webhook-Event-ID: ",
            "X-Webhook-Signature-Timestamp-Body: ",
        ],
    },
    Target {
        name: "stream_entry",
        run: redis::stream_entry,
        words: &["\u{1}", "\u{2}\u{2}", "\0\0", "key ", "subscription wh_", "everything", "-"],
    },
    Target { name: "subscription", run: subscriptions::subscription, words: SUBSCRIPTION },
];

/// The input as lines of text; what is not UTF-8 becomes U+FFFD, as nothing that reads headers would let it through.
fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).split('\n').map(str::to_owned).collect()
}
