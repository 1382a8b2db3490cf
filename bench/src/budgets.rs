//! `budgets.toml`, and what figures are in the light of it. Pure.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Deserialize;

use crate::surroundings::Surroundings;

/// How far a figure may be from its budget, in percent of the budget. Another order of the same code moves a figure by less.
pub const TOLERANCE_PERCENT: u64 = 3;

/// Instructions of one call, by the case's name.
pub type Figures = BTreeMap<String, u64>;

/// What each case may cost.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    /// What the figures depend on besides the code.
    pub measured: Surroundings,
    /// The figures.
    pub instructions: Figures,
}

/// One case's budget and what it costs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The case.
    pub name: String,
    /// What it may cost.
    pub budget: Option<u64>,
    /// What it costs.
    pub figure: Option<u64>,
}

/// What is to be said of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it was.
    Within,
    /// Cheaper than it may be: the budget can be lowered.
    Below,
    /// Dearer than it may be.
    Above,
    /// A case that may cost nothing yet.
    WithoutBudget,
    /// A budget of nothing that is measured.
    WithoutCase,
}

impl Budgets {
    /// Reads the file's text.
    ///
    /// # Errors
    /// When it is not TOML of this form.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The file's text.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::from(HEAD);
        text.push_str(&self.measured.render());
        text.push_str("\n[instructions]\n");
        for (name, figure) in &self.instructions {
            // A String takes all that is written to it.
            let _ = writeln!(text, "{name} = {figure}");
        }
        text
    }

    /// Every case and every budget, by name.
    #[must_use]
    pub fn compare(&self, figures: &Figures) -> Vec<Comparison> {
        let mut names: Vec<&String> = self.instructions.keys().chain(figures.keys()).collect();
        names.sort();
        names.dedup();
        let comparison = |name: &String| Comparison {
            name: name.clone(),
            budget: self.instructions.get(name).copied(),
            figure: figures.get(name).copied(),
        };
        names.into_iter().map(comparison).collect()
    }
}

const HEAD: &str = "\
# What one call of each case of bench/src/cases.rs may cost, in instructions as callgrind counts them in the release build.
# Compared by `make bench-budget`, written by `make bench-budget BUDGET_ARGS=--update`; docs/benchmarks.md says more.
#
# The figures depend on the compiler and on what dependencies find in the processor: sha2 asks for `sha`, crc32fast for
# `pclmulqdq`, curve25519-dalek for `avx2`. What `processor` does not list they did in software. Valgrind's processor has no
# `sha` on x86-64, so a signature or a digest costs more here than on a processor of these years.

";

impl Comparison {
    /// What is to be said of it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let (Some(budget), Some(figure)) = (self.budget, self.figure) else {
            return if self.figure.is_some() { Verdict::WithoutBudget } else { Verdict::WithoutCase };
        };
        let (budget, figure) = (u128::from(budget) * 100, u128::from(figure) * 100);
        let tolerance = budget / 100 * u128::from(TOLERANCE_PERCENT);
        if figure > budget + tolerance {
            Verdict::Above
        } else if figure + tolerance < budget {
            Verdict::Below
        } else {
            Verdict::Within
        }
    }
}

impl Verdict {
    /// Whether the comparison as a whole has failed by this.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Above | Self::WithoutBudget | Self::WithoutCase)
    }
}

/// What stands above the lines of a table of comparisons.
pub const TABLE_HEAD: &str = "case                              budget      figure    change";

/// A line of the table.
impl fmt::Display for Comparison {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        write!(formatter, "{:<30}{:>10}  {:>10}", self.name, number(self.budget), number(self.figure))?;
        if let (Some(budget @ 1..), Some(figure)) = (self.budget, self.figure) {
            let change = (figure as f64 / budget as f64 - 1.0) * 100.0;
            write!(formatter, "  {change:>+7.2}%")?;
        }
        formatter.write_str(match self.verdict() {
            Verdict::Within => "",
            Verdict::Below => "  the budget can be lowered",
            Verdict::Above => "  OVER BUDGET",
            Verdict::WithoutBudget => "  HAS NO BUDGET",
            Verdict::WithoutCase => "  NO SUCH CASE",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings() -> Surroundings {
        Surroundings {
            rustc: "rustc 1.95.0 (59807616e 2026-04-14)".to_owned(),
            target: "x86_64-unknown-linux-gnu".to_owned(),
            valgrind: "valgrind-3.19.0".to_owned(),
            processor: vec!["sse4.1".to_owned(), "avx2".to_owned()],
        }
    }

    fn budgets(instructions: &[(&str, u64)]) -> Budgets {
        Budgets { measured: surroundings(), instructions: figures(instructions) }
    }

    fn figures(figures: &[(&str, u64)]) -> Figures {
        figures.iter().map(|(name, figure)| ((*name).to_owned(), *figure)).collect()
    }

    fn verdict(budget: u64, figure: u64) -> Verdict {
        let compared = budgets(&[("a", budget)]).compare(&figures(&[("a", figure)]));
        assert_eq!(compared.len(), 1);
        compared[0].verdict()
    }

    #[test]
    fn three_percent_either_way_is_no_change() {
        for (figure, expected) in [
            (10_000, Verdict::Within),
            (10_300, Verdict::Within),
            (10_301, Verdict::Above),
            (9_700, Verdict::Within),
            (9_699, Verdict::Below),
            (0, Verdict::Below),
            (u64::MAX, Verdict::Above),
        ] {
            assert_eq!(verdict(10_000, figure), expected, "{figure}");
        }
        assert_eq!(verdict(0, 0), Verdict::Within);
        assert_eq!(verdict(0, 1), Verdict::Above);
        assert_eq!(verdict(99, 101), Verdict::Within, "2.02 %");
        assert_eq!(verdict(99, 102), Verdict::Above, "3.03 %");
    }

    #[test]
    fn only_what_is_cheaper_is_no_failure() {
        let all = [Verdict::Within, Verdict::Below, Verdict::Above, Verdict::WithoutBudget, Verdict::WithoutCase];
        assert_eq!(all.map(Verdict::is_failure), [false, false, true, true, true]);
    }

    #[test]
    fn what_stands_on_one_side_only_is_compared_too() {
        let compared = budgets(&[("gone", 1), ("kept", 2)]).compare(&figures(&[("kept", 2), ("new", 3)]));
        let verdicts: Vec<_> = compared.iter().map(|one| (one.name.as_str(), one.verdict())).collect();
        assert_eq!(
            verdicts,
            [("gone", Verdict::WithoutCase), ("kept", Verdict::Within), ("new", Verdict::WithoutBudget)]
        );
    }

    #[test]
    fn a_line_names_case_budget_and_figure() {
        let compared = budgets(&[("settle-retry", 1_000), ("gone", 7)]).compare(&figures(&[("settle-retry", 1_034)]));
        assert_eq!(compared[0].to_string(), "gone                                   7           -  NO SUCH CASE");
        assert_eq!(
            compared[1].to_string(),
            "settle-retry                        1000        1034    +3.40%  OVER BUDGET"
        );
        assert_eq!(TABLE_HEAD.find("change").map(|at| at + "change".len()), compared[1].to_string().find("  OVER"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let budgets = budgets(&[("b", 2), ("a-1", 1)]);
        let text = budgets.render();
        assert!(text.starts_with("# What one call"), "{text}");
        assert!(text.ends_with("\n[instructions]\na-1 = 1\nb = 2\n"), "{text}");
        assert_eq!(Budgets::parse(&text), Ok(budgets));
    }

    #[test]
    fn a_file_of_another_form_is_refused() {
        let text = budgets(&[("a", 1)]).render();
        for broken in [text.replace("a = 1", "a = -1"), text.replace("a = 1", "a = 1.5"), text.replace("rustc", "gcc")]
        {
            assert!(Budgets::parse(&broken).is_err(), "{broken}");
        }
    }
}
