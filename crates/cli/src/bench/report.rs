//! Figures gathered over repetitions, and how they are shown.

use serde_json::{Value, json};

use crate::output;

/// One row: its name, its unit and a figure a repetition.
struct Row {
    name: &'static str,
    unit: &'static str,
    figures: Vec<f64>,
}

/// All rows, in the order they were first measured.
#[derive(Default)]
pub(super) struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Adds one repetition's figure.
    pub(super) fn add(&mut self, name: &'static str, unit: &'static str, figure: f64) {
        match self.rows.iter_mut().find(|row| row.name == name) {
            Some(row) => row.figures.push(figure),
            None => self.rows.push(Row { name, unit, figures: vec![figure] }),
        }
    }

    /// Whether nothing was measured.
    pub(super) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Prints a Markdown table: median, lowest and highest of each row.
    pub(super) fn print(&self) {
        output::line("| what | median | min – max | unit |\n|---|---:|---:|---|");
        for row in &self.rows {
            let (low, median, high) = spread(&row.figures);
            output::line(&format!(
                "| {} | {} | {} – {} | {} |",
                row.name,
                shown(median),
                shown(low),
                shown(high),
                row.unit
            ));
        }
    }

    /// The same as JSON, with every single figure.
    pub(super) fn to_json(&self) -> String {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| json!({ "name": row.name, "unit": row.unit, "median": spread(&row.figures).1, "figures": row.figures }))
            .collect();
        format!("{:#}\n", json!({ "rows": rows }))
    }
}

/// Lowest, median, highest.
fn spread(figures: &[f64]) -> (f64, f64, f64) {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => (f64::NAN, f64::NAN, f64::NAN),
        length if length % 2 == 1 => (sorted[0], sorted[length / 2], sorted[length - 1]),
        length => (sorted[0], f64::midpoint(sorted[length / 2 - 1], sorted[length / 2]), sorted[length - 1]),
    }
}

fn shown(figure: f64) -> String {
    if figure.abs() >= 100.0 { format!("{figure:.0}") } else { format!("{figure:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), (1.0, 2.0, 3.0));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), (1.0, 2.5, 4.0));
        assert!(spread(&[]).1.is_nan(), "nothing measured is not zero");
    }
}
