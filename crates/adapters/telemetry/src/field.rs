//! Names of log fields, so that a search finds the same thing in every process.
//!
//! Use them as `tracing::info!({ field::DELIVERY_ID } = %id, "processing delivery")`. Names are dotted by subject,
//! with the unit last. A field that is not here belongs to one module and is spelt out there.

/// The request, as in `X-Request-Id`.
pub const REQUEST_ID: &str = "request.id";
/// Method of an HTTP request.
pub const HTTP_METHOD: &str = "http.method";
/// Path of an HTTP request, without its query string.
pub const HTTP_PATH: &str = "http.path";
/// Status of an HTTP response.
pub const HTTP_STATUS: &str = "http.status";
/// Address of the client, after trusted proxies.
pub const CLIENT_ADDRESS: &str = "client.address";
/// An API key, by id.
pub const KEY_ID: &str = "key.id";
/// A partner.
pub const OWNER_ID: &str = "owner.id";
/// An operator, by the id of the admin key or the subject of the token.
pub const ACTOR: &str = "actor";
/// A code of the problem table.
pub const ERROR_CODE: &str = "error.code";
/// An error with its whole chain.
pub const ERROR: &str = "error";
/// An event.
pub const EVENT_ID: &str = "event.id";
/// The type of an event.
pub const EVENT_TYPE: &str = "event.type";
/// A subscription.
pub const SUBSCRIPTION_ID: &str = "subscription.id";
/// A delivery.
pub const DELIVERY_ID: &str = "delivery.id";
/// The number of an attempt, from 1.
pub const ATTEMPT: &str = "delivery.attempt";
/// What became of an attempt or of a delivery.
pub const OUTCOME: &str = "delivery.outcome";
/// How many of something a batch held.
pub const COUNT: &str = "count";
/// How long something took.
pub const DURATION_MS: &str = "duration_ms";
/// This process among its replicas.
pub const INSTANCE: &str = "instance";
/// The program.
pub const SERVICE: &str = "service";
/// The release.
pub const VERSION: &str = "version";
/// A variable of the configuration.
pub const VARIABLE: &str = "variable";
/// A fingerprint of the switches.
pub const FLAGS_FINGERPRINT: &str = "flags.fingerprint";
/// A generation of the switches.
pub const FLAGS_GENERATION: &str = "flags.generation";
