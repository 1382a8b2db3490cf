//! [`Idle`]: connections between two requests.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::origin::Origin;

/// Many servers close an idle connection after 5 s; using one at that very moment would cost an attempt.
const IDLE: Duration = Duration::from_secs(4);
/// Idle connections kept to one origin: as many attempts as a worker has under way by default. One origin may be the
/// receiver of many subscriptions, and whoever comes back to find no room closes a connection that the next one opens again.
const MOST_PER_ORIGIN: usize = 1024;
/// Idle connections kept in all by one pool. With those in use they are what its owner has open, and what a process may open is limited.
const MOST: usize = 2048;

/// Who is idle since when. Pure: the time is an argument.
#[derive(Debug)]
pub struct Idle<C> {
    /// In the order in which they became idle.
    by_origin: HashMap<Arc<Origin>, Vec<(C, Instant)>>,
    count: usize,
    /// Whether somebody comes to close those that are idle for too long.
    swept: bool,
}

impl<C> Default for Idle<C> {
    fn default() -> Self {
        Self { by_origin: HashMap::new(), count: 0, swept: false }
    }
}

impl<C> Idle<C> {
    /// How often those that are idle for too long are to be looked for.
    pub const SWEEP_EVERY: Duration = Duration::from_secs(1);

    /// The one that became idle last, unless that is too long ago.
    pub fn take(&mut self, origin: &Arc<Origin>, now: Instant) -> Option<C> {
        let (connection, since) = self.by_origin.get_mut(origin)?.pop()?;
        self.count -= 1;
        // Those before it are older: the sweep closes them.
        is_fresh(since, now).then_some(connection)
    }

    /// Keeps it, or answers the one that is not kept.
    pub fn put(&mut self, origin: &Arc<Origin>, connection: C, now: Instant) -> Option<C> {
        let of_origin = self.by_origin.entry(Arc::clone(origin)).or_default();
        if of_origin.len() >= MOST_PER_ORIGIN || self.count >= MOST {
            return Some(connection);
        }
        of_origin.push((connection, now));
        self.count += 1;
        None
    }

    /// Whether nobody comes yet to close those that are idle for too long. Whoever is told so, comes.
    pub fn wants_sweep(&mut self) -> bool {
        !std::mem::replace(&mut self.swept, true)
    }

    /// Takes out those that are idle for too long, and says whether it is to be done again.
    pub fn sweep(&mut self, now: Instant) -> (Vec<C>, bool) {
        let stale = self.stale(now);
        self.swept = self.count > 0;
        (stale, self.swept)
    }

    /// Takes out those that are idle for too long.
    fn stale(&mut self, now: Instant) -> Vec<C> {
        let mut stale = Vec::new();
        self.by_origin.retain(|_, of_origin| {
            let fresh_from = of_origin.partition_point(|(_, since)| !is_fresh(*since, now));
            stale.extend(of_origin.drain(..fresh_from).map(|(connection, _)| connection));
            !of_origin.is_empty()
        });
        self.count -= stale.len();
        stale
    }
}

fn is_fresh(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) < IDLE
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use url::Host;

    use super::*;

    fn origin(port: u16) -> Arc<Origin> {
        Arc::new(Origin { secure: false, host: Host::Domain("a.example".to_owned()), port })
    }

    fn idle() -> Idle<usize> {
        Idle::default()
    }

    fn start() -> Instant {
        onering_clock::Clock::system().monotonic()
    }

    #[test]
    fn the_last_comes_first_and_to_its_own_origin_only() {
        let (mut idle, now) = (idle(), start());
        for number in 1..=3 {
            assert_eq!(idle.put(&origin(1), number, now), None);
        }
        let secure = Arc::new(Origin { secure: true, ..(*origin(1)).clone() });
        assert_eq!((idle.take(&origin(2), now), idle.take(&secure, now)), (None, None));
        assert_eq!((idle.take(&origin(1), now), idle.take(&origin(1), now)), (Some(3), Some(2)));
        assert_eq!(idle.put(&origin(1), 4, now), None);
        assert_eq!((idle.take(&origin(1), now), idle.take(&origin(1), now)), (Some(4), Some(1)));
        assert_eq!((idle.take(&origin(1), now), idle.count), (None, 0));
    }

    #[test]
    fn what_is_idle_for_too_long_is_not_used_and_swept() {
        let (mut idle, now) = (idle(), start());
        idle.put(&origin(1), 1, now);
        idle.put(&origin(2), 2, now);
        idle.put(&origin(2), 3, now + IDLE / 2);
        let later = now + IDLE;
        assert_eq!(idle.take(&origin(1), later), None);
        assert_eq!(idle.stale(later), [2]);
        assert_eq!((idle.count, idle.by_origin.len()), (1, 1));
        assert_eq!(idle.take(&origin(2), later), Some(3));
        assert_eq!((idle.stale(later), idle.count, idle.by_origin.len()), (vec![], 0, 0));
    }

    #[test]
    fn the_pool_is_bounded_for_each_origin_and_in_all() {
        let (mut idle, now) = (idle(), start());
        for number in 0..MOST_PER_ORIGIN {
            assert_eq!(idle.put(&origin(1), number, now), None);
        }
        assert_eq!(idle.put(&origin(1), 7, now), Some(7));
        let others = (2..).flat_map(|port| (0..MOST_PER_ORIGIN).map(move |_| origin(port)));
        for origin in others.take(MOST - MOST_PER_ORIGIN) {
            assert_eq!(idle.put(&origin, 0, now), None);
        }
        assert_eq!((idle.put(&origin(999), 7, now), idle.count), (Some(7), MOST));
        idle.take(&origin(1), now);
        assert_eq!(idle.put(&origin(999), 7, now), None);
    }

    proptest! {
        #[test]
        fn nothing_is_handed_out_twice_lost_or_stale(steps in prop::collection::vec((0..3_u8, 0..3_u16, 0..3_000_u64), 0..60)) {
            let (mut idle, mut now) = (idle(), start());
            let mut inside: HashSet<usize> = HashSet::new();
            let mut since = Vec::new();
            for (step, port, millis) in steps {
                now += Duration::from_millis(millis);
                match step {
                    0 => {
                        inside.insert(since.len());
                        idle.put(&origin(port), since.len(), now);
                        since.push((now, port));
                    }
                    1 => {
                        let count = idle.count;
                        if let Some(taken) = idle.take(&origin(port), now) {
                            prop_assert!(inside.remove(&taken) && since[taken].1 == port && is_fresh(since[taken].0, now));
                        } else if idle.count < count {
                            // The one on top was stale, and with it all of the origin.
                            prop_assert!(inside.iter().all(|one| since[*one].1 != port || !is_fresh(since[*one].0, now)));
                            let top = inside.iter().filter(|one| since[**one].1 == port).max().copied();
                            inside.remove(&top.unwrap());
                        }
                    }
                    _ => {
                        for stale in idle.stale(now) {
                            prop_assert!(inside.remove(&stale) && !is_fresh(since[stale].0, now));
                        }
                        prop_assert!(inside.iter().all(|one| is_fresh(since[*one].0, now)));
                    }
                }
                prop_assert_eq!(idle.count, inside.len());
            }
        }
    }
}
