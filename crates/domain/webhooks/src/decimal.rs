use std::cmp::Ordering;

use serde_json::Number;

/// A JSON number as the decimal it is written as, so that 1, 1.0 and 1e0 are equal and large integers exact, as in the
/// `numeric` that `jsonb` compares.
struct Decimal {
    negative: bool,
    /// Significant digits without leading or trailing zeros; empty for zero.
    digits: Vec<u8>,
    /// Where the decimal point stands, counted from before the first digit.
    point: i64,
}

/// Compares two JSON numbers exactly.
pub(crate) fn compare(one: &Number, other: &Number) -> Ordering {
    if let (Some(one), Some(other)) = (one.as_i64(), other.as_i64()) {
        return one.cmp(&other);
    }
    Decimal::of(one).cmp_to(&Decimal::of(other))
}

impl Decimal {
    fn of(number: &Number) -> Self {
        let text = number.to_string();
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.as_str()),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let leading = digits.iter().take_while(|digit| **digit == b'0').count();
        let trailing = digits[leading..].iter().rev().take_while(|digit| **digit == b'0').count();
        // A number's own text never has an exponent out of range.
        let exponent = exponent.parse::<i64>().unwrap_or_default();
        let point = exponent + whole.len() as i64 - leading as i64;
        Self { negative, digits: digits[leading..digits.len() - trailing].to_vec(), point }
    }

    /// -1, 0 or 1.
    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    fn cmp_to(&self, other: &Self) -> Ordering {
        let size = || (self.point, &self.digits).cmp(&(other.point, &other.digits));
        self.sign().cmp(&other.sign()).then_with(|| match self.sign() {
            0 => Ordering::Equal,
            1 => size(),
            _ => size().reverse(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Number {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn writing_does_not_matter_and_every_digit_counts() {
        for (one, other, order) in [
            ("1", "1.0", Ordering::Equal),
            ("100", "1e2", Ordering::Equal),
            ("0", "-0.0", Ordering::Equal),
            ("0.1", "1e-1", Ordering::Equal),
            ("-2", "-1.5", Ordering::Less),
            ("-1", "0", Ordering::Less),
            ("9007199254740993", "9007199254740992.0", Ordering::Greater),
            ("18446744073709551615", "18446744073709551614", Ordering::Greater),
            ("-9223372036854775808", "18446744073709551615", Ordering::Less),
            ("1e300", "18446744073709551615", Ordering::Greater),
            ("5e-324", "0", Ordering::Greater),
        ] {
            assert_eq!(compare(&number(one), &number(other)), order, "{one} {other}");
            assert_eq!(compare(&number(other), &number(one)), order.reverse(), "{other} {one}");
        }
    }

    proptest! {
        #[test]
        fn doubles_compare_as_doubles(one in prop::num::f64::NORMAL, other in prop::num::f64::NORMAL) {
            let (a, b) = (Number::from_f64(one).unwrap(), Number::from_f64(other).unwrap());
            prop_assert_eq!(Some(compare(&a, &b)), one.partial_cmp(&other));
        }

        #[test]
        fn small_integers_compare_with_doubles(one: i32, other: i32) {
            let (a, b) = (Number::from(one), Number::from_f64(f64::from(other)).unwrap());
            prop_assert_eq!(compare(&a, &b), one.cmp(&other));
        }
    }
}
