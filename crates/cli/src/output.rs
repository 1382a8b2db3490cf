//! Printing answers: JSON for machines, aligned columns for people.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::sync::OnceLock;

use serde_json::Value;

/// Why nothing can be printed any more, once something could not.
static TROUBLE: OnceLock<ErrorKind> = OnceLock::new();

/// Prints one line. What cannot be printed changes nothing of what the command does or answers (see [`closing`]): half a
/// stack, or a verdict that turned into success, would be worse than a missing line.
pub(crate) fn line(text: &str) {
    if TROUBLE.get().is_none()
        && let Err(error) = write_line(&mut std::io::stdout().lock(), text)
    {
        TROUBLE.get_or_init(|| error.kind());
    }
}

fn write_line(out: &mut impl Write, text: &str) -> std::io::Result<()> {
    writeln!(out, "{text}").and_then(|()| out.flush())
}

/// Whether nobody reads any more: a command that prints without end (`onering tail | head`) ends then.
pub(crate) fn is_closed() -> bool {
    TROUBLE.get().is_some()
}

/// The exit code of a command that would end with `code`. A reader that has seen enough is no failure; an answer that could
/// not be written to a full disk is.
pub(crate) fn closing(code: ExitCode) -> ExitCode {
    match TROUBLE.get() {
        None | Some(ErrorKind::BrokenPipe) => code,
        Some(kind) => {
            eprintln!("onering: the output could not be written: {kind}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a JSON value, indented.
pub(crate) fn json(value: &Value) {
    line(&format!("{value:#}"));
}

/// Prints rows under a header, each column as wide as its widest cell.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) {
    let header: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&header).chain(rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    for row in all {
        line(&aligned(row, &widths));
    }
}

fn aligned(cells: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    cells.join("  ").trim_end().to_owned()
}

/// Prints the items of a list, these fields of each; or the list itself as JSON.
pub(crate) fn list(list: &Value, columns: &[&str], as_json: bool) {
    if as_json {
        return json(list);
    }
    let items = list.get("items").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let rows: Vec<Vec<String>> =
        items.iter().map(|item| columns.iter().map(|column| cell(item, column)).collect()).collect();
    table(columns, &rows);
}

/// How an object is shown to people.
pub(crate) struct Layout {
    /// These fields first, in this order.
    pub(crate) first: &'static [&'static str],
    /// Further names of what another field says already.
    pub(crate) aliases: &'static [&'static str],
}

/// Prints one object: every field that has a value on a line of its own, or the whole as JSON.
pub(crate) fn object(object: &Value, layout: &Layout, as_json: bool) {
    if as_json {
        return json(object);
    }
    for text in lines_of(object, layout) {
        line(&text);
    }
}

fn lines_of(object: &Value, layout: &Layout) -> Vec<String> {
    let known = |field: &&str| layout.first.contains(field) || layout.aliases.contains(field);
    let rest = object.as_object().into_iter().flatten().map(|(field, _)| field.as_str()).filter(|field| !known(field));
    let cells = layout.first.iter().copied().chain(rest).map(|field| (field, cell(object, field)));
    cells.filter(|(_, cell)| !cell.is_empty()).map(|(field, cell)| format!("{field:<26} {cell}")).collect()
}

/// The text of a field for people: empty for null and absent, without quotes for strings.
pub(crate) fn cell(object: &Value, field: &str) -> String {
    match object.get(field) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(","),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_plain_text() {
        let object = json!({ "text": "a", "list": ["a", 1], "none": null, "flag": true });
        let cells = ["text", "list", "none", "flag", "absent"].map(|field| cell(&object, field));
        assert_eq!(cells, ["a", "a,1", "", "true", ""]);
    }

    #[test]
    fn an_object_is_shown_in_order_and_without_empty_lines() {
        let object = json!({ "a": 1, "b": null, "id": "x", "identifier": "x" });
        let layout = Layout { first: &["id"], aliases: &["identifier"] };
        let fields: Vec<String> = lines_of(&object, &layout).iter().map(|line| line.replace(' ', "")).collect();
        assert_eq!(fields, ["idx", "a1"]);
    }

    #[test]
    fn columns_are_aligned_without_a_ragged_end() {
        assert_eq!(aligned(&["a".to_owned(), "b".to_owned()], &[3, 5]), "a    b");
    }
}
