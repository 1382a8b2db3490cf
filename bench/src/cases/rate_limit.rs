use std::hint::black_box;

use onering_rate_limit::{Cost, Outcome, Policy, Quota, Window};

use crate::samples::NOW_UNIX_S;
use crate::{Prepared, routine};

/// Sixteen calls in four seconds: some are admitted, some find the second used up, the rest the hour.
pub(super) fn window() -> Prepared {
    let policy = Policy { hourly: 8, burst_per_second: Some(3) };
    let now_unix_ms = NOW_UNIX_S.unsigned_abs() * 1_000;
    routine(move || {
        let mut window = black_box(Window::default());
        let outcomes: [Outcome; 16] =
            std::array::from_fn(|call| window.take(black_box(policy), Cost::ONE, now_unix_ms + 250 * call as u64));
        outcomes
    })
}

/// The headers of an answer.
pub(super) fn headers() -> Prepared {
    let now_unix_s = NOW_UNIX_S.unsigned_abs() + 1_234;
    let quota = Quota { limit: 1_000, remaining: 766, reset_unix_s: NOW_UNIX_S.unsigned_abs() + 3_600 };
    routine(move || onering_rate_limit::headers(black_box(&quota), black_box(now_unix_s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_met() {
        let outcomes = window().unwrap().show();
        assert_eq!(outcomes.matches("Admitted").count(), 8, "{outcomes}");
        assert_eq!(outcomes.matches("window: Second").count(), 2, "{outcomes}");
        assert_eq!(outcomes.matches("window: Hour").count(), 6, "{outcomes}");
    }

    #[test]
    fn all_headers_are_written() {
        assert!(headers().unwrap().show().contains(r#"\"hour\";r=766;t=2366""#));
    }
}
