//! The names this platform uses in Redis. Everything it keeps there begins with `onering:`.

/// The stream of deliveries to attempt.
pub(crate) const DELIVERIES: &str = "onering:deliveries";

/// The one consumer group on it.
pub(crate) const GROUP: &str = "workers";

/// The one field of an entry.
pub(crate) const FIELD: &str = "d";

/// The channel on which changes are told.
pub(crate) const ANNOUNCEMENTS: &str = "onering:announce";

/// What stands before the key's UUID in the name of its rate limit.
pub(crate) const RATE_PREFIX: &str = "onering:rate:";

/// The hash of breakers: a field for each subscription that ails, and one for the generation.
pub(crate) const BREAKERS: &str = "onering:breakers";

/// The field of the generation.
pub(crate) const GENERATION: &str = "generation";
