//! Which deliveries fall on which day.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};

use super::plan::Waiting;

/// A part of one day (UTC), and what is to have happened in it.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    /// The day.
    pub(super) day: NaiveDate,
    /// Where among the stretches it is: no two have the same dice.
    pub(super) number: u64,
    /// Its beginning, in milliseconds since 1970.
    pub(super) from_ms: u64,
    /// Its end, exclusive.
    pub(super) until_ms: u64,
    /// Deliveries made in it.
    pub(super) deliveries: u64,
    /// They wait; otherwise nearly all of them are over.
    pub(super) waiting: Option<Waiting>,
}

/// Spreads deliveries evenly over so many days of 24 hours until `until`, cut at midnight.
pub(super) fn spread(until: DateTime<Utc>, days: u16, deliveries: u64) -> Vec<Stretch> {
    let from = until - Days::new(days.into());
    let (from_ms, until_ms) = (unix_ms(from), unix_ms(until));
    // What was made before an instant.
    let before = |ms: u64| share(deliveries, ms - from_ms, until_ms - from_ms);
    let mut stretches = Vec::new();
    let mut day = from.date_naive();
    while unix_ms(midnight(day)) < until_ms {
        let next = day + Days::new(1);
        let (first, end) = (unix_ms(midnight(day)).max(from_ms), unix_ms(midnight(next)).min(until_ms));
        let number = stretches.len() as u64;
        let deliveries = before(end) - before(first);
        stretches.push(Stretch { day, number, from_ms: first, until_ms: end, deliveries, waiting: None });
        day = next;
    }
    stretches.retain(|stretch| stretch.deliveries > 0);
    stretches
}

/// The last minute before `until`, or what of it is of the same day.
pub(super) fn last_minute(until: DateTime<Utc>, number: u64, waiting: Waiting) -> Stretch {
    let (day, until_ms) = (until.date_naive(), unix_ms(until));
    let from_ms = unix_ms(midnight(day)).max(until_ms.saturating_sub(60_000));
    let deliveries = waiting.deliveries;
    Stretch { day, number, from_ms, until_ms: until_ms.max(from_ms + 1), deliveries, waiting: Some(waiting) }
}

/// `part` of `whole` of a number.
pub(super) fn share(number: u64, part: u64, whole: u64) -> u64 {
    let share = u128::from(number) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(number)
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

fn unix_ms(at: DateTime<Utc>) -> u64 {
    u64::try_from(at.timestamp_millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn nothing_is_lost_between_days() {
        for (until, days, deliveries) in [
            ("2026-11-22T13:56:11.123Z", 28, 20_000_000),
            ("2026-11-22T00:00:00Z", 1, 7),
            ("2026-11-22T00:00:00.001Z", 2, 1),
            ("2026-11-22T23:59:59.999Z", 3, 0),
        ] {
            let stretches = spread(at(until), days, deliveries);
            assert_eq!(stretches.iter().map(|stretch| stretch.deliveries).sum::<u64>(), deliveries);
            for stretch in stretches {
                let first = DateTime::from_timestamp_millis(stretch.from_ms as i64).unwrap();
                let last = DateTime::from_timestamp_millis(stretch.until_ms as i64 - 1).unwrap();
                assert_eq!([first.date_naive(), last.date_naive()], [stretch.day; 2]);
                assert!(last < at(until));
            }
        }
    }

    #[test]
    fn days_get_their_share() {
        let stretches = spread(at("2026-11-22T06:00:00Z"), 2, 48);
        let shares: Vec<(u32, u64)> =
            stretches.iter().map(|stretch| (chrono::Datelike::day(&stretch.day), stretch.deliveries)).collect();
        assert_eq!(shares, [(20, 18), (21, 24), (22, 6)]);
    }

    #[test]
    fn what_waits_is_of_today() {
        let waiting = Waiting { deliveries: 5, is_due: true, to: None };
        let stretch = |until: &str| last_minute(at(until), 9, waiting.clone());
        let of_noon = stretch("2026-11-22T12:00:00Z");
        assert_eq!((of_noon.until_ms - of_noon.from_ms, of_noon.deliveries), (60_000, 5));
        assert_eq!(stretch("2026-11-22T00:00:10Z").until_ms - stretch("2026-11-22T00:00:10Z").from_ms, 10_000);
        let of_midnight = stretch("2026-11-22T00:00:00Z");
        assert_eq!(of_midnight.until_ms - of_midnight.from_ms, 1);
    }
}
