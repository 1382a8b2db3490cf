//! Reading a figure from what `/metrics` answers.

use std::borrow::Cow;

/// The sum of all series of this name that have these labels; `None` when there is none.
///
/// # Panics
/// When a line with this name is not of the text format.
#[must_use]
pub fn metric(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let series = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        if !rest.starts_with(['{', ' ']) {
            return None;
        }
        Some(read(rest).unwrap_or_else(|| panic!("{line:?} is not of the text format")))
    });
    let has = |given: &[(&str, Cow<'_, str>)], wanted: &(&str, &str)| {
        given.iter().any(|(name, value)| (*name, value.as_ref()) == *wanted)
    };
    let fitting = series.filter(|(given, _)| labels.iter().all(|wanted| has(given, wanted)));
    fitting.map(|(_, value)| value).reduce(|sum, value| sum + value)
}

/// Names and values.
type Labels<'t> = Vec<(&'t str, Cow<'t, str>)>;

/// The labels and the value of what follows a name.
fn read(rest: &str) -> Option<(Labels<'_>, f64)> {
    let mut labels = Vec::new();
    let mut rest = rest;
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner.trim_start_matches(',');
        while !rest.starts_with('}') {
            let (name, after) = rest.split_once("=\"")?;
            let end = closing_quote(after)?;
            labels.push((name, unescaped(&after[..end])));
            rest = after[end + 1..].trim_start_matches(',');
        }
        rest = &rest[1..];
    }
    // A time may follow the value.
    Some((labels, rest.split_whitespace().next()?.parse().ok()?))
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.char_indices().find_map(|(at, letter)| {
        let closes = letter == '"' && !is_escaped;
        is_escaped = letter == '\\' && !is_escaped;
        closes.then_some(at)
    })
}

fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let mut letters = value.chars();
    let mut plain = String::new();
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '\\' => match letters.next() {
                Some('n') => '\n',
                Some(other) => other,
                None => '\\',
            },
            letter => letter,
        });
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP calls_total Calls.\n# TYPE calls_total counter\n\
        calls_total{code=\"OK\",tier=\"free\"} 2\ncalls_total{code=\"OK\",tier=\"pro\"} 3\n\
        calls_total{code=\"a \\\"b\\\", {c}\\\\\\n=\",tier=\"pro\"} 7 1700000000\ncalls_total_more{code=\"OK\"} 100\n\
        open 1.5\nempty{} 4\nage NaN\n";

    #[test]
    fn series_are_found_by_name_and_labels() {
        assert_eq!(metric(TEXT, "calls_total", &[]), Some(12.0));
        assert_eq!(metric(TEXT, "calls_total", &[("code", "OK")]), Some(5.0));
        assert_eq!(metric(TEXT, "calls_total", &[("tier", "pro"), ("code", "OK")]), Some(3.0));
        assert_eq!(metric(TEXT, "calls_total", &[("code", "a \"b\", {c}\\\n=")]), Some(7.0));
        assert_eq!((metric(TEXT, "open", &[]), metric(TEXT, "empty", &[])), (Some(1.5), Some(4.0)));
        assert!(metric(TEXT, "age", &[]).is_some_and(f64::is_nan));
    }

    #[test]
    fn what_is_not_there_is_no_zero() {
        assert_eq!(metric(TEXT, "calls", &[]), None, "a name is not a beginning of one");
        assert_eq!(metric(TEXT, "calls_total", &[("code", "O")]), None);
        assert_eq!(metric(TEXT, "open", &[("code", "OK")]), None);
    }

    #[test]
    #[should_panic(expected = "is not of the text format")]
    fn a_broken_line_is_not_passed_over() {
        let _ = metric("calls_total{code=\"OK} 1\n", "calls_total", &[]);
    }
}
