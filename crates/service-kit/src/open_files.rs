//! How many files a process may have open; a socket is one.
//!
//! Operating systems start programs with a soft limit of 1,024 for the sake of those that use `select`, which cannot count
//! further, and leave it to all others to raise it to the hard limit. None of ours uses it.

use onering_telemetry::field;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::error_chain;

/// What a busy process may have open: a worker 1,024 attempts and 2,048 idle connections, a gateway of two HTTP threads twice
/// 2,048 idle connections to the product, and beside them those of its callers, of Postgres and of Redis.
const NEEDED: u64 = 8_192;

/// Raises the soft limit to the hard one. Where that fails, or is not enough, the log says so: a process that is not busy
/// gets on with less.
pub(crate) fn raise_limit() {
    let before = getrlimit(Resource::Nofile);
    if let Some(wanted) = raised(before)
        && let Err(error) = setrlimit(Resource::Nofile, wanted)
    {
        tracing::warn!({ field::ERROR } = error_chain(&error), "the limit of open files cannot be raised");
    }
    let limit = getrlimit(Resource::Nofile).current;
    if falls_short(limit) {
        tracing::warn!(
            limit,
            needed = NEEDED,
            "few files may be open; a busy process may need more. Raise the hard limit (`ulimit -Hn`, `LimitNOFILE=`)"
        );
    } else {
        tracing::info!(limit, before = before.current, "files that may be open");
    }
}

/// The limits to ask for, or `None` where the soft one is as high as it can be. `None` within is no limit.
fn raised(now: Rlimit) -> Option<Rlimit> {
    (now.current != now.maximum).then_some(Rlimit { current: now.maximum, ..now })
}

fn falls_short(limit: Option<u64>) -> bool {
    limit.is_some_and(|limit| limit < NEEDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one_and_that_stays() {
        for maximum in [Some(1_024), Some(1_048_576), None] {
            let asked = raised(Rlimit { current: Some(256), maximum });
            assert_eq!(asked, Some(Rlimit { current: maximum, maximum }));
            assert_eq!(raised(Rlimit { current: maximum, maximum }), None);
        }
    }

    #[test]
    fn it_falls_short_below_what_a_busy_process_needs() {
        assert!(falls_short(Some(NEEDED - 1)));
        assert!(!falls_short(Some(NEEDED)) && !falls_short(None));
    }
}
