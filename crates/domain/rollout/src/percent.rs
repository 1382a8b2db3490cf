use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

const MAX_THOUSANDTHS: u32 = 100_000;

/// A share from 0 to 100 percent in steps of 0.001, held exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u32);

/// The text or number is no percentage from 0 to 100 with at most three decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a percentage is a number from 0 to 100 with at most three decimals")]
pub struct PercentError;

impl Percent {
    /// 0 percent: nobody.
    pub const NONE: Self = Self(0);
    /// 100 percent: everybody.
    pub const ALL: Self = Self(MAX_THOUSANDTHS);

    /// A share given in thousandths of a percent.
    ///
    /// # Errors
    /// When it is above 100,000.
    pub const fn from_thousandths(thousandths: u32) -> Result<Self, PercentError> {
        if thousandths <= MAX_THOUSANDTHS { Ok(Self(thousandths)) } else { Err(PercentError) }
    }

    /// The share in thousandths of a percent, 0 to 100,000.
    #[must_use]
    pub const fn thousandths(self) -> u32 {
        self.0
    }
}

impl FromStr for Percent {
    type Err = PercentError;

    /// Reads `25`, `12.5` or `0.001`: digits and at most three decimals, no sign, exponent or space.
    fn from_str(text: &str) -> Result<Self, PercentError> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let bounded = (1..=3).contains(&whole.len()) && (1..=3).contains(&decimals.len());
        if !bounded || !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Err(PercentError);
        }
        let whole: u32 = whole.parse().map_err(|_| PercentError)?;
        let thousandths: u32 = format!("{decimals:0<3}").parse().map_err(|_| PercentError)?;
        Self::from_thousandths(whole * 1_000 + thousandths)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, thousandths) = (self.0 / 1_000, self.0 % 1_000);
        if thousandths == 0 {
            return write!(formatter, "{whole}");
        }
        let decimals = format!("{thousandths:03}");
        write!(formatter, "{whole}.{}", decimals.trim_end_matches('0'))
    }
}

/// As a JSON number: `25`, `12.5`.
impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(1_000) {
            serializer.serialize_u32(self.0 / 1_000)
        } else {
            serializer.serialize_f64(f64::from(self.0) / 1_000.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn good_texts() {
        let cases = [
            ("0", 0),
            ("5", 5_000),
            ("12.5", 12_500),
            ("0.001", 1),
            ("100", 100_000),
            ("100.000", 100_000),
            ("007", 7_000),
        ];
        for (text, thousandths) in cases {
            assert_eq!(text.parse::<Percent>().map(Percent::thousandths), Ok(thousandths), "{text}");
        }
    }

    #[test]
    fn bad_texts() {
        for text in ["", ".", "5.", ".5", "-1", "+1", "1e1", " 5", "5 %", "100.001", "101", "0.0001", "1.2.3", "٣"] {
            assert_eq!(text.parse::<Percent>(), Err(PercentError), "{text:?}");
        }
    }

    #[test]
    fn json_holds_a_number() {
        for (text, json) in [("0", "0"), ("100", "100"), ("12.5", "12.5"), ("33.333", "33.333")] {
            assert_eq!(serde_json::to_string(&text.parse::<Percent>().unwrap()).unwrap(), json);
        }
    }

    proptest! {
        #[test]
        fn text_and_share_are_the_same_thing(thousandths in 0..=MAX_THOUSANDTHS) {
            let percent = Percent::from_thousandths(thousandths).unwrap();
            prop_assert_eq!(percent.to_string().parse(), Ok(percent));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[0-9.]{0,8}|.{0,8}") {
            let _ = text.parse::<Percent>();
        }
    }
}
