//! What can go wrong with Redis, one variant for each thing that was being done.

use deadpool_redis::PoolError;
use deadpool_redis::redis::RedisError;
use tokio::task::JoinError;

/// A failed operation on the queue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The address is not a Redis URL.
    #[error("the Redis address is not usable")]
    Address {
        /// What the client objected to.
        #[source]
        source: RedisError,
    },
    /// The pool for occasional commands could not be set up.
    #[error("the Redis pool could not be set up")]
    Pool {
        /// What the pool objected to.
        #[source]
        source: deadpool_redis::BuildError,
    },
    /// The queue was made outside a Tokio runtime, so nothing could drive its connections.
    #[error("the queue has to be made inside a Tokio runtime")]
    NoRuntime,
    /// Redis did not answer a ping.
    #[error("Redis does not answer")]
    Ping {
        /// Why.
        #[source]
        source: Fault,
    },
    /// The server's own counters could not be read.
    #[error("reading Redis' counters failed")]
    Counters {
        /// Why.
        #[source]
        source: Fault,
    },
    /// Redis could not be emptied.
    #[error("emptying Redis failed")]
    Empty {
        /// Why.
        #[source]
        source: Fault,
    },
    /// Deliveries were not pushed to the stream. The sweep finds them when their lease ends.
    #[error("pushing {entries} deliveries to the stream failed")]
    Push {
        /// How many were to be pushed.
        entries: usize,
        /// Why.
        #[source]
        source: Fault,
    },
    /// The stream's length could not be read.
    #[error("reading the stream's length failed")]
    Length {
        /// Why.
        #[source]
        source: Fault,
    },
    /// The stream could not be read.
    #[error("reading the stream as {consumer} failed")]
    Read {
        /// The name this process reads under.
        consumer: String,
        /// Why.
        #[source]
        source: Fault,
    },
    /// Entries of dead workers could not be taken over.
    #[error("taking over idle entries as {consumer} failed")]
    Claim {
        /// The name this process reads under.
        consumer: String,
        /// Why.
        #[source]
        source: Fault,
    },
    /// Entries could not be acknowledged; they come back and lose at their renewal.
    #[error("acknowledging {entries} stream entries failed")]
    Acknowledge {
        /// How many.
        entries: usize,
        /// Why.
        #[source]
        source: Fault,
    },
    /// The consumer group could not be made.
    #[error("making the consumer group failed")]
    Group {
        /// Why.
        #[source]
        source: Fault,
    },
    /// Names of departed workers could not be cleared away.
    #[error("forgetting departed consumers failed")]
    Forget {
        /// Why.
        #[source]
        source: Fault,
    },
    /// An announcement was not sent. Caches expire by themselves shortly after.
    #[error("announcing failed")]
    Announce {
        /// Why.
        #[source]
        source: Fault,
    },
    /// Breakers were not changed, or it is not known whether they were.
    #[error("telling the breakers {inputs} inputs failed")]
    Breakers {
        /// How many.
        inputs: usize,
        /// Why.
        #[source]
        source: Fault,
    },
    /// The breakers could not be read.
    #[error("reading the breakers failed")]
    ReadBreakers {
        /// Why.
        #[source]
        source: Fault,
    },
    /// Old breakers could not be cleared away.
    #[error("forgetting old breakers failed")]
    ForgetBreakers {
        /// Why.
        #[source]
        source: Fault,
    },
    /// The rate script did not answer.
    #[error("taking from {keys} rate limits failed")]
    Take {
        /// How many keys were asked for.
        keys: usize,
        /// Why.
        #[source]
        source: Fault,
    },
}

/// Why Redis did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Redis refused the command, or the connection was lost.
    #[error("the Redis command failed")]
    Command(#[from] RedisError),
    /// No pooled connection could be had.
    #[error("no pooled Redis connection is to be had")]
    Checkout(#[from] PoolError),
    /// The runtime that drives the connections has stopped.
    #[error("the runtime of the Redis connections has stopped")]
    Runtime(#[from] JoinError),
    /// No answer within the time allowed.
    #[error("no answer from Redis in time")]
    Deadline,
    /// Redis answered something this version does not understand.
    #[error("Redis answered in an unexpected shape: {expected} was expected")]
    Shape {
        /// What was expected instead.
        expected: &'static str,
    },
}

impl Fault {
    /// Whether the connection is to be given up: it broke, or it was silent for too long to be trusted.
    pub(crate) fn condemns_connection(&self) -> bool {
        match self {
            Self::Command(error) => error.is_io_error() || error.is_unrecoverable_error(),
            Self::Deadline | Self::Runtime(_) => true,
            Self::Checkout(_) | Self::Shape { .. } => false,
        }
    }

    /// Whether a new connection may well cure it at once: the old one was closed, not slow.
    pub(crate) fn is_closed_connection(&self) -> bool {
        matches!(self, Self::Command(error) if error.is_connection_dropped() && !error.is_connection_refusal())
    }

    /// Whether Redis answered with this error code.
    pub(crate) fn has_code(&self, code: &str) -> bool {
        matches!(self, Self::Command(error) if error.code() == Some(code))
    }
}
