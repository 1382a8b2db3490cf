//! Figures gathered over repetitions, and how they are shown.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::output;

/// One row: its name, its unit and a figure a repetition.
pub(super) struct Row {
    pub(super) name: Cow<'static, str>,
    pub(super) unit: &'static str,
    pub(super) figures: Vec<f64>,
}

/// All rows, in the order they were first measured.
#[derive(Default)]
pub(super) struct Report {
    rows: Vec<Row>,
}

/// Lowest, median and highest of some figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) lowest: f64,
    pub(super) median: f64,
    pub(super) highest: f64,
}

impl Report {
    /// Adds one repetition's figure.
    pub(super) fn add(&mut self, name: impl Into<Cow<'static, str>>, unit: &'static str, figure: f64) {
        let name = name.into();
        match self.rows.iter_mut().find(|row| row.name == name) {
            Some(row) => row.figures.push(figure),
            None => self.rows.push(Row { name, unit, figures: vec![figure] }),
        }
    }

    /// Whether nothing was measured.
    pub(super) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Every row.
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The row of this name.
    pub(super) fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// Prints a Markdown table: median, lowest and highest of each row.
    pub(super) fn print(&self) {
        output::line("| what | median | min – max | unit |\n|---|---:|---:|---|");
        for row in &self.rows {
            let Spread { lowest, median, highest } = Spread::of(&row.figures);
            output::line(&format!(
                "| {} | {} | {} – {} | {} |",
                row.name,
                shown(median),
                shown(lowest),
                shown(highest),
                row.unit
            ));
        }
    }

    /// The same as JSON, with every single figure.
    pub(super) fn to_json(&self) -> String {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let median = Spread::of(&row.figures).median;
                json!({ "name": row.name, "unit": row.unit, "median": median, "figures": row.figures })
            })
            .collect();
        format!("{:#}\n", json!({ "rows": rows }))
    }
}

impl Spread {
    /// Of these figures; not numbers when there are none.
    pub(super) fn of(figures: &[f64]) -> Self {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (lowest, median, highest) = match sorted.len() {
            0 => (f64::NAN, f64::NAN, f64::NAN),
            length if length % 2 == 1 => (sorted[0], sorted[length / 2], sorted[length - 1]),
            length => (sorted[0], f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]), sorted[length - 1]),
        };
        Self { lowest, median, highest }
    }
}

/// A figure with as many digits as say something.
pub(super) fn shown(figure: f64) -> String {
    match figure.abs() {
        large if large >= 100.0 => format!("{figure:.0}"),
        small if small < 0.1 => format!("{figure:.4}"),
        _ => format!("{figure:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let spread = |figures: &[f64]| {
            let Spread { lowest, median, highest } = Spread::of(figures);
            (lowest, median, highest)
        };
        assert_eq!(spread(&[3.0, 1.0, 2.0]), (1.0, 2.0, 3.0));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), (1.0, 2.5, 4.0));
        assert!(Spread::of(&[]).median.is_nan(), "nothing measured is not zero");
    }

    #[test]
    fn small_figures_keep_their_digits() {
        assert_eq!(["1234", "12.35", "0.0123"], [1234.4, 12.345_6, 0.012_34].map(shown).each_ref().map(String::as_str));
    }
}
