//! [`Family`]: one metric with labels.

use std::fmt;
use std::sync::Arc;

use super::instrument::{Counter, Gauge, Histogram, Instrument};
use super::label::Label;

/// The most members made beforehand: more than a few labels' product is better made when it is met.
const MADE_BEFOREHAND_MAX: usize = 64;

/// Counters with `N` labels.
pub type Counters<const N: usize> = Family<Counter, N>;
/// Gauges with `N` labels.
pub type Gauges<const N: usize> = Family<Gauge, N>;
/// Histograms with `N` labels.
pub type Histograms<const N: usize> = Family<Histogram, N>;

/// A metric with `N` labels, each of them bounded. Cheap to clone.
pub struct Family<I: Instrument, const N: usize> {
    raw: I::Raw,
    labels: Arc<[Label; N]>,
}

impl<I: Instrument, const N: usize> Family<I, N> {
    pub(crate) fn new(raw: I::Raw, labels: [Label; N]) -> Self {
        let family = Self { raw, labels: Arc::new(labels) };
        family.make_beforehand();
        family
    }

    /// The member with these label values, in the order in which the labels were declared. A value that the label
    /// does not take counts as `other`. Hot paths keep the answer.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the array has exactly one value a label, the only thing that could fail")]
    pub fn with(&self, values: [&str; N]) -> I {
        let mut admitted = values;
        for (value, label) in admitted.iter_mut().zip(self.labels.iter()) {
            *value = label.admit(value);
        }
        I::member(&self.raw, &admitted).expect("there is one value a label")
    }

    /// Members whose labels are known are shown from the start, as 0: a rate over a series that appears with its
    /// first event would miss that event.
    fn make_beforehand(&self) {
        let Some(known) = self.labels.iter().map(Label::known_values).collect::<Option<Vec<_>>>() else {
            return;
        };
        let members: usize = known.iter().map(Vec::len).product();
        if members > MADE_BEFOREHAND_MAX {
            return;
        }
        for member in 0..members {
            let mut rest = member;
            let values = std::array::from_fn(|label| {
                let of_label = &known[label];
                let value = of_label[rest % of_label.len()];
                rest /= of_label.len();
                value
            });
            let _ = self.with(values);
        }
    }
}

impl<I: Instrument, const N: usize> Clone for Family<I, N> {
    fn clone(&self) -> Self {
        Self { raw: self.raw.clone(), labels: Arc::clone(&self.labels) }
    }
}

impl<I: Instrument, const N: usize> fmt::Debug for Family<I, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Family").field("labels", &self.labels).finish_non_exhaustive()
    }
}
