//! The table of goals: each row with its goal, its figure, its reference beside it and whether the goal is reached.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::goals::{Goal, TARGETS};
use super::report::{Report, Row, Spread, shown};

/// Under what the figures were taken.
pub(super) struct Circumstances {
    pub(super) machine: String,
    pub(super) seconds: u16,
    pub(super) repeat: u16,
    pub(super) connections: u16,
}

/// One row of the table.
struct Line<'a> {
    row: &'a Row,
    figure: Spread,
    goal: Option<Goal>,
    reference: Option<(&'a Row, Spread)>,
    /// The figure divided by the reference's, repetition by repetition.
    ratio: Option<Spread>,
}

impl<'a> Line<'a> {
    fn of(row: &'a Row, report: &'a Report) -> Self {
        let target = TARGETS.iter().find(|target| target.what == row.name);
        let reference = target.and_then(|target| report.row(target.reference?));
        let ratios = reference.map(|reference| {
            let pairs = row.figures.iter().zip(&reference.figures);
            pairs.map(|(figure, reference)| figure / reference).collect::<Vec<_>>()
        });
        Self {
            row,
            figure: Spread::of(&row.figures),
            goal: target.and_then(|target| target.goal),
            reference: reference.map(|row| (row, Spread::of(&row.figures))),
            ratio: ratios.map(|ratios| Spread::of(&ratios)),
        }
    }

    fn is_reached(&self) -> Option<bool> {
        self.goal?.is_reached(self.figure, self.ratio)
    }

    fn markdown(&self) -> String {
        let reached = match (self.goal, self.is_reached()) {
            (None, _) => "",
            (Some(_), Some(true)) => "yes",
            (Some(_), Some(false)) => "**no**",
            (Some(_), None) => "not known",
        };
        let unit = if self.row.unit.is_empty() { String::new() } else { format!(" {}", self.row.unit) };
        format!(
            "| {} | {} | {} | {} | {} | {reached} |",
            self.row.name,
            self.goal.map(Goal::shown).unwrap_or_default(),
            with_range(self.figure, &unit),
            self.reference.map(|(row, spread)| with_range(spread, &format!(" {}", row.unit))).unwrap_or_default(),
            self.ratio.map(|ratio| with_range(ratio, "")).unwrap_or_default(),
        )
    }

    fn json(&self) -> Value {
        let spread = |spread: Spread| json!({ "median": spread.median, "min": spread.lowest, "max": spread.highest });
        let mut line = spread(self.figure);
        line["name"] = json!(self.row.name);
        line["unit"] = json!(self.row.unit);
        line["figures"] = json!(self.row.figures);
        line["goal"] = json!(self.goal.map(Goal::shown));
        line["reached"] = json!(self.is_reached());
        line["reference"] = json!(self.reference.map(|(row, _)| &row.name));
        line["ratio"] = json!(self.ratio.map(spread));
        line
    }
}

fn with_range(spread: Spread, unit: &str) -> String {
    format!("{}{unit} ({}–{})", shown(spread.median), shown(spread.lowest), shown(spread.highest))
}

/// The table in Markdown.
pub(super) fn markdown(report: &Report, circumstances: &Circumstances) -> String {
    let Circumstances { machine, seconds, repeat, connections } = circumstances;
    let mut text = format!(
        "{machine}; {repeat} repetitions of {seconds} s, {connections} connections; medians (lowest–highest).\n\n\
         | what | goal | figure (min–max) | reference | ratio | reached |\n|---|---|---:|---:|---:|---|\n"
    );
    for row in report.rows() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", Line::of(row, report).markdown());
    }
    text
}

/// The same as JSON, with every single figure.
pub(super) fn json(report: &Report, circumstances: &Circumstances) -> String {
    let Circumstances { machine, seconds, repeat, connections } = circumstances;
    let rows: Vec<Value> = report.rows().iter().map(|row| Line::of(row, report).json()).collect();
    let document = json!({
        "machine": machine, "seconds": seconds, "repeat": repeat, "connections": connections, "rows": rows,
    });
    format!("{document:#}\n")
}

#[cfg(test)]
mod tests {
    use super::super::goals::rows;
    use super::*;

    fn report(figures: &[(f64, f64)]) -> Report {
        let mut report = Report::default();
        for (figure, reference) in figures {
            report.add(rows::POSTS_TO_NGINX, "1/s", *reference);
            report.add(rows::INTO_NGINX, "1/s", *figure);
        }
        report
    }

    fn circumstances() -> Circumstances {
        Circumstances { machine: "two cores".to_owned(), seconds: 4, repeat: 3, connections: 64 }
    }

    fn line(report: &Report) -> Value {
        let document: Value = serde_json::from_str(&json(report, &circumstances())).unwrap();
        document["rows"][1].clone()
    }

    #[test]
    fn ratios_are_taken_within_each_repetition() {
        let line = line(&report(&[(16_000.0, 64_000.0), (20_000.0, 50_000.0), (18_000.0, 60_000.0)]));
        assert_eq!(line["ratio"], json!({ "median": 0.3, "min": 0.25, "max": 0.4 }));
        assert_eq!((&line["median"], &line["reached"]), (&json!(18_000.0), &json!(true)));
        assert_eq!(line["reference"], rows::POSTS_TO_NGINX);
    }

    #[test]
    fn one_bad_repetition_fails_what_must_never_be() {
        let line = line(&report(&[(16_000.0, 64_000.0), (16_000.0, 81_000.0), (18_000.0, 60_000.0)]));
        assert_eq!(line["reached"], json!(false));
    }

    #[test]
    fn the_table_shows_figure_reference_and_verdict() {
        let text = markdown(&report(&[(16_000.0, 64_000.0)]), &circumstances());
        let expected = "| accepted and delivered, into nginx | ≥ 15000, never under 0.2 of the reference | \
            16000 1/s (16000–16000) | 64000 1/s (64000–64000) | 0.25 (0.25–0.25) | yes |";
        assert!(text.lines().any(|line| line == expected), "{text}");
        let reference = "| reference: POSTs of 600 bytes to nginx |  | 64000 1/s (64000–64000) |  |  |  |";
        assert!(text.lines().any(|line| line == reference), "{text}");
    }
}
