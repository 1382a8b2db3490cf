//! Printing answers: JSON for machines, aligned columns for people.

use serde_json::Value;

/// Prints a JSON value, indented.
pub(crate) fn json(value: &Value) {
    println!("{value:#}");
}

/// Prints rows under a header, each column as wide as its widest cell.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    print_row(header.iter().map(|cell| (*cell).to_owned()), &widths);
    for row in rows {
        print_row(row.iter().cloned(), &widths);
    }
}

fn print_row(cells: impl Iterator<Item = String>, widths: &[usize]) {
    let line: Vec<String> = cells.zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    println!("{}", line.join("  ").trim_end());
}

/// The text of a field for a table: empty for null and absent, without quotes for strings.
pub(crate) fn cell(object: &Value, field: &str) -> String {
    match object.get(field) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect::<Vec<_>>().join(",")
        }
        Some(other) => other.to_string(),
    }
}
