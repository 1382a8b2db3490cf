//! The verdicts as a Markdown table.

use super::verdict::Verdict;

/// The table's head.
pub const HEAD: &str = "\
| fault | accepted | delivered | repeated | lost | strangers | bad signatures | worker RSS max MB | seconds | verdict |
|---|--:|--:|--:|--:|--:|--:|--:|--:|---|";

/// One row.
#[must_use]
pub fn row(verdict: &Verdict) -> String {
    let Verdict { fault, accepted, delivered, repeated, lost, strangers, bad_signatures, took, .. } = verdict;
    let memory = verdict.memory_mb.map_or_else(|| "-".to_owned(), |memory| memory.to_string());
    let seconds = took.as_secs_f64();
    let word = if verdict.is_green() { "green".to_owned() } else { format!("RED: {}", verdict.reds().join("; ")) };
    format!(
        "| {fault} | {accepted} | {delivered} | {repeated} | {lost} | {strangers} | {bad_signatures} | {memory} | \
         {seconds:.1} | {word} |"
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::faults::Fault;

    #[test]
    fn a_row_has_a_cell_for_each_column() {
        let verdict = Verdict {
            fault: Fault::CutRedis,
            accepted: 2_000,
            delivered: 1_999,
            repeated: 0,
            lost: 1,
            waiting: None,
            strangers: 0,
            bad_signatures: 0,
            memory_mb: None,
            took: Duration::from_millis(1_250),
            ledger: None,
            wrong: Vec::new(),
        };
        let row = row(&verdict);
        assert_eq!(row, "| Redis cut off | 2000 | 1999 | 0 | 1 | 0 | 0 | - | 1.2 | RED: 1 lost |");
        let columns = |line: &str| line.matches('|').count();
        assert!(HEAD.lines().all(|line| columns(line) == columns(&row)));
    }
}
