//! From the script's numbers to one outcome for each request.

use onering_rate_limit::{Cost, HourWindow, Outcome, Policy, Quota, RefusedBy};

use crate::error::Fault;
use crate::rate::script::{TakeRequest, Taken};

/// What became of the requests of one [`TakeRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakeAnswer {
    /// One outcome for each request, in the order asked. Each admitted one has what remains after itself, so no two
    /// that cost something show the same.
    pub outcomes: Vec<Outcome>,
}

/// Neighbours with the same cost, counted: how requests travel to the script.
pub(crate) fn runs(costs: &[Cost]) -> impl Iterator<Item = (Cost, usize)> {
    costs.chunk_by(|one, next| one == next).filter_map(|run| Some((*run.first()?, run.len())))
}

/// Reads the numbers `take.lua` answers for this batch.
pub(crate) fn read_answers(numbers: &[i64], batch: &[TakeRequest]) -> Result<Taken, Fault> {
    let mut numbers = Numbers(numbers);
    let now_unix_ms = numbers.next()?.saturating_mul(1000) + numbers.next()? / 1000;
    let answers = batch.iter().map(|request| numbers.answer(request, now_unix_ms)).collect::<Result<_, _>>()?;
    if numbers.0.is_empty() { Ok(Taken { now_unix_ms, answers }) } else { Err(WRONG_COUNT) }
}

const WRONG_COUNT: Fault = Fault::Shape { expected: "as many numbers as requests ask for" };

/// What is left to read.
struct Numbers<'a>(&'a [i64]);

impl Numbers<'_> {
    fn next(&mut self) -> Result<u64, Fault> {
        let (first, rest) = self.0.split_first().ok_or(WRONG_COUNT)?;
        self.0 = rest;
        u64::try_from(*first).map_err(|_| Fault::Shape { expected: "no negative number" })
    }

    fn answer(&mut self, request: &TakeRequest, now_unix_ms: u64) -> Result<TakeAnswer, Fault> {
        let hour = HourWindow::of(self.next()?);
        let mut standing =
            Standing { policy: request.policy, reset_unix_s: hour.reset_unix_s(), in_hour: self.next()?, now_unix_ms };
        let mut outcomes = Vec::with_capacity(request.costs.len());
        for (cost, asked) in runs(&request.costs) {
            let admitted = usize::try_from(self.next()?).unwrap_or(usize::MAX).min(asked);
            outcomes.extend((0..admitted).map(|_| standing.admit(cost)));
            outcomes.extend((admitted..asked).map(|_| standing.refuse(cost)));
        }
        Ok(TakeAnswer { outcomes })
    }
}

/// Where a key stands between two of its requests.
struct Standing {
    policy: Policy,
    reset_unix_s: u64,
    in_hour: u64,
    now_unix_ms: u64,
}

impl Standing {
    fn admit(&mut self, cost: Cost) -> Outcome {
        self.in_hour = self.in_hour.saturating_add(cost.units());
        Outcome::Admitted(self.quota())
    }

    fn refuse(&self, cost: Cost) -> Outcome {
        let quota = self.quota();
        let window = if cost.units() > quota.remaining { RefusedBy::Hour } else { RefusedBy::Second };
        let retry_after_s = match window {
            RefusedBy::Hour => (quota.reset_unix_s * 1000).saturating_sub(self.now_unix_ms).div_ceil(1000),
            RefusedBy::Second => 1,
        };
        Outcome::Refused { quota, retry_after_s, window }
    }

    fn quota(&self) -> Quota {
        let limit = self.policy.hourly;
        Quota { limit, remaining: limit.saturating_sub(self.in_hour), reset_unix_s: self.reset_unix_s }
    }
}

#[cfg(test)]
mod tests {
    use onering_ids::KeyId;

    use super::*;

    fn request(costs: &[u32]) -> TakeRequest {
        let costs = costs.iter().map(|cost| Cost(*cost)).collect();
        TakeRequest { key: KeyId::floor(1), policy: Policy::hourly(10), costs }
    }

    #[test]
    fn neighbours_of_one_cost_travel_together() {
        let costs = request(&[1, 1, 5, 1]).costs;
        assert_eq!(runs(&costs).collect::<Vec<_>>(), [(Cost(1), 2), (Cost(5), 1), (Cost(1), 1)]);
        assert_eq!(runs(&[]).count(), 0);
    }

    #[test]
    fn each_admitted_request_shows_what_remains_after_it() {
        // At 10 s and 20 ms into the epoch, 7 of 10 units taken before: of four requests two fit, then a dear one
        // does not, then one more does.
        let taken = read_answers(&[10, 20_000, 0, 7, 2, 0, 1], &[request(&[1, 1, 5, 1])]).unwrap();
        assert_eq!(taken.now_unix_ms, 10_020);
        let quota = |remaining| Quota { limit: 10, remaining, reset_unix_s: 3600 };
        let refused = Outcome::Refused { quota: quota(1), retry_after_s: 3590, window: RefusedBy::Hour };
        let expected = [Outcome::Admitted(quota(2)), Outcome::Admitted(quota(1)), refused, Outcome::Admitted(quota(0))];
        assert_eq!(taken.answers[0].outcomes, expected);
    }

    #[test]
    fn too_few_too_many_and_negative_numbers_are_refused() {
        for numbers in [&[][..], &[10, 0, 0], &[10, 0, 0, 7, 1, 1], &[10, 0, 0, 7, -1]] {
            assert!(read_answers(numbers, &[request(&[1, 1])]).is_err(), "{numbers:?}");
        }
    }
}
