//! Where the sweep looks next: past what others are busy with, and past subscriptions that have no room.
//!
//! Pure: the time is an argument.

use std::time::{Duration, Instant};

use onering_ids::SubscriptionId;
use onering_store::leases::Haul;

/// After it passed over subscriptions it does not do so again for this many times as long as that took, up to
/// [`LONGEST_REST`]: the larger the backlog that has to be read past, the more seldom.
const REST: u32 = 9;
/// It rests no longer than this: others may wait behind the backlog.
const LONGEST_REST: Duration = Duration::from_secs(10);

/// What the next round of the sweep passes over.
#[derive(Debug, Default)]
pub(crate) struct Look {
    beyond: u32,
    passed_over: Vec<SubscriptionId>,
    /// The last look at what is longest due may have left something for another one.
    has_more_in_front: bool,
    /// Since when it passes over subscriptions.
    passing_since: Option<Instant>,
    rests_until: Option<Instant>,
}

impl Look {
    /// How many of those that are longest due it passes over.
    pub(crate) const fn beyond(&self) -> u32 {
        self.beyond
    }

    /// The subscriptions it passes over.
    pub(crate) fn passed_over(&self) -> &[SubscriptionId] {
        &self.passed_over
    }

    /// Looks at what is longest due again.
    pub(crate) fn start(&mut self) {
        self.beyond = 0;
        self.passed_over.clear();
        self.has_more_in_front = false;
        self.passing_since = None;
    }

    /// A round failed: reading past a backlog may have taken longer than a statement may.
    pub(crate) fn failed(&mut self, now: Instant) {
        self.start();
        self.rests_until = now.checked_add(LONGEST_REST);
    }

    /// Learns from what a round brought that is over `now`, and of which more may be had where it looked. Answers whether another
    /// round may bring something at once, there or elsewhere.
    pub(crate) fn learn(&mut self, haul: &Haul, has_more: bool, now: Instant) -> bool {
        // What is seen elsewhere says nothing of what is longest due, to which it comes back.
        if self.beyond == 0 && self.passing_since.is_none() {
            self.has_more_in_front = has_more;
        }
        // What others are busy with is passed over once, and then looked at again: they may have let go of it.
        let is_elsewhere = haul.contended > 0 || (self.beyond > 0 && !haul.deliveries.is_empty());
        self.beyond = if haul.contended > 0 { self.beyond.saturating_add(haul.contended) } else { 0 };
        self.pass_over(haul, now) || is_elsewhere || has_more || self.has_more_in_front
    }

    /// When all it could see are those without room, others may be due behind them.
    fn pass_over(&mut self, haul: &Haul, now: Instant) -> bool {
        if let Some(since) = self.passing_since {
            let pause = now.saturating_duration_since(since).saturating_mul(REST);
            self.rests_until = now.checked_add(pause.min(LONGEST_REST));
        }
        let goes_on = haul.is_full && !haul.left_behind.is_empty();
        if !goes_on || (self.passing_since.is_none() && self.rests_until.is_some_and(|until| now < until)) {
            self.passed_over.clear();
            self.passing_since = None;
            return false;
        }
        self.passing_since.get_or_insert(now);
        self.passed_over.extend(haul.left_behind.iter().map(|left| left.webhook_id));
        true
    }
}

#[cfg(test)]
mod tests {
    use onering_clock::Clock;
    use onering_store::leases::LeftBehind;

    use super::*;

    fn full_of(numbers: &[u64]) -> Haul {
        let left = |number: &u64| LeftBehind { webhook_id: SubscriptionId::floor(*number), put_off: 0, until: None };
        Haul { left_behind: numbers.iter().map(left).collect(), is_full: true, ..Haul::default() }
    }

    #[test]
    fn what_others_are_busy_with_is_passed_over_until_something_else_is_found() {
        let (mut look, now) = (Look::default(), Clock::system().monotonic());
        let contended = |contended| Haul { contended, ..Haul::default() };
        assert!(look.learn(&contended(30), false, now));
        assert!(look.learn(&contended(20), false, now));
        assert_eq!(look.beyond(), 50);
        assert!(!look.learn(&contended(0), false, now), "there is nothing else");
        assert_eq!(look.beyond(), 0);
    }

    #[test]
    fn those_without_room_are_passed_over_until_there_is_no_more() {
        let (mut look, now) = (Look::default(), Clock::system().monotonic());
        assert!(look.learn(&full_of(&[1, 2]), false, now));
        assert!(look.learn(&full_of(&[3]), false, now));
        let expected = [1, 2, 3].map(SubscriptionId::floor);
        assert_eq!(look.passed_over(), expected);
        assert!(!look.learn(&Haul { is_full: false, ..full_of(&[4]) }, false, now));
        assert!(look.passed_over().is_empty());
    }

    #[test]
    fn it_comes_back_to_what_it_left_in_front() {
        let (mut look, now) = (Look::default(), Clock::system().monotonic());
        let (full, nothing) = (full_of(&[1]), Haul::default());
        assert!(look.learn(&full, true, now));
        assert_eq!(look.passed_over(), [SubscriptionId::floor(1)]);
        assert!(look.learn(&nothing, false, now + Duration::from_millis(10)), "there is nothing behind it");
        assert!(look.passed_over().is_empty());
        assert!(!look.learn(&full, false, now + Duration::from_millis(20)), "nor is there more in front any longer");
        let contended = Haul { contended: 5, ..Haul::default() };
        assert!(look.learn(&contended, true, now + Duration::from_millis(30)));
        assert!(look.learn(&nothing, false, now + Duration::from_millis(40)), "the others are busy with it");
        assert_eq!(look.beyond(), 0);
    }

    #[test]
    fn reading_past_a_backlog_takes_a_tenth_of_the_time_at_most() {
        let (mut look, start) = (Look::default(), Clock::system().monotonic());
        let at = |ms| start + Duration::from_millis(ms);
        assert!(look.learn(&full_of(&[1]), false, at(10)));
        assert!(look.learn(&full_of(&[2]), false, at(60)), "another one without room stands behind");
        assert!(!look.learn(&Haul::default(), false, at(110)), "it took 100 ms to see that there is nothing");
        assert!(!look.learn(&full_of(&[1]), false, at(1_009)));
        assert!(look.learn(&full_of(&[1]), false, at(1_010)));
    }

    #[test]
    fn what_could_not_be_read_past_is_left_alone_for_a_while() {
        let (mut look, now) = (Look::default(), Clock::system().monotonic());
        assert!(look.learn(&full_of(&[1]), false, now));
        look.failed(now);
        assert!(look.passed_over().is_empty());
        assert!(!look.learn(&full_of(&[1]), false, now + Duration::from_secs(9)));
        assert!(look.learn(&full_of(&[1]), false, now + LONGEST_REST));
    }
}
