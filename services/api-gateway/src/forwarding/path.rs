//! Which paths may be passed on at all.

/// Whether the path means the same to us, who choose its route, and to whatever reads it behind us.
///
/// Refused are `.` and `..` as segments, plain, percent-encoded, before a `;` or beside an encoded or backward slash: some
/// readers would resolve them and so end up outside the route whose scope was checked. Refused are also control characters,
/// and percent signs that encode nothing.
pub(crate) fn check_path(path: &str) -> bool {
    let Some(decoded) = percent_decoded(path.as_bytes()) else { return false };
    let is_dots = |segment: &[u8]| {
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        name == b"." || name == b".."
    };
    path.starts_with('/')
        && !decoded.iter().any(u8::is_ascii_control)
        && !decoded.split(|byte| matches!(byte, b'/' | b'\\')).any(is_dots)
}

/// `None` where a percent sign is not followed by two hexadecimal digits.
fn percent_decoded(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((byte, after)) = rest.split_first() {
        if *byte == b'%' {
            let (digits, behind) = after.split_at_checked(2)?;
            let text = std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_hexdigit))?;
            decoded.push(u8::from_str_radix(text, 16).ok()?);
            rest = behind;
        } else {
            decoded.push(*byte);
            rest = after;
        }
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        for good in
            ["/", "/rings", "/rings/", "/rings//x", "/rings/..a/b..", "/rings/%20", "/rings/a%2Fb", "/r/...", "/r;v=1"]
        {
            assert!(check_path(good), "{good}");
        }
        let bad = [
            "",
            "rings",
            "/rings/..",
            "/rings/../ledger",
            "/rings/./x",
            "/rings/%2e%2E/ledger",
            "/rings/.%2e/x",
            "/rings/..%2fledger",
            "/rings/..\\ledger",
            "/rings/..%5Cledger",
            "/rings/..;/ledger",
            "/rings/%2e%2e;x=1/y",
            "/rings/%00",
            "/rings/a%0d%0a",
            "/rings/%",
            "/rings/%2",
            "/rings/%zz",
            "/rings/%+1",
        ];
        for bad in bad {
            assert!(!check_path(bad), "{bad}");
        }
    }

    proptest! {
        /// Whatever a reader behind us does of decoding once and resolving dots, it stays beneath the first segment.
        #[test]
        fn an_accepted_path_stays_beneath_its_first_segment(path in "/rings(/[a-z.;%2eEfF5cC\\\\]{0,8}){0,5}") {
            if check_path(&path) {
                let decoded = percent_decoded(path.as_bytes()).unwrap();
                let mut depth = 0_i32;
                for segment in decoded.split(|byte| matches!(byte, b'/' | b'\\')) {
                    match segment.split(|byte| *byte == b';').next().unwrap() {
                        b".." => depth -= 1,
                        b"" | b"." => {}
                        _ => depth += 1,
                    }
                    prop_assert!(depth >= 0);
                }
                prop_assert!(depth >= 1);
            }
        }

        #[test]
        fn no_text_makes_it_panic(path in ".{0,40}") {
            let _ = check_path(&path);
        }
    }
}
