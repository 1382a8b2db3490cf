use std::hint::black_box;

use onering_ids::OwnerId;
use onering_rollout::Cohort;

use crate::{Prepared, routine};

/// Which of four partners are in half a cohort.
pub(super) fn cohort() -> Prepared {
    let cohort = Cohort { percent: "50".parse()?, salt: "autumn-2026".to_owned() };
    let owners: [OwnerId; 4] = ["acme".parse()?, "globex".parse()?, "initech".parse()?, "umbrella".parse()?];
    routine(move || owners.each_ref().map(|owner| black_box(&cohort).contains(black_box(owner), false)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_in_and_some_are_not() {
        let shown = cohort().unwrap().show();
        assert!(shown.contains("true") && shown.contains("false"), "{shown}");
    }
}
