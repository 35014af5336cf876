//! `NumericDate` (RFC 7519, 2): one rule for `exp`, `nbf` and `iat`. A JSON number
//! from 0 to 2^53 - 1 in any notation: `1600000000`, `1600000000.5` and `1.6e9`
//! are valid, `"1600000000"` and `-1` are not.

use serde_json::Value;

/// Seconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NumericDate {
    /// Whole seconds.
    Whole(u64),
    /// After this second and before the next one.
    Between(u64),
}

/// The maximum: the largest integer that all JSON parsers represent exactly
/// (RFC 7493, 2.2).
const MAX: u64 = (1 << 53) - 1;

impl NumericDate {
    /// Parses a claim's value; `None` if it is not a `NumericDate`.
    pub fn read(value: &Value) -> Option<Self> {
        if let Some(seconds) = value.as_u64() {
            return (seconds <= MAX).then_some(Self::Whole(seconds));
        }
        #[expect(clippy::cast_precision_loss, reason = "MAX is exact as an f64")]
        let seconds = value.as_f64().filter(|seconds| (0.0..=MAX as f64).contains(seconds))?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it lies within the bounds"
        )]
        let whole = seconds as u64;
        Some(if seconds.fract() > 0.0 { Self::Between(whole) } else { Self::Whole(whole) })
    }

    /// Rounds down; used for `exp`.
    pub const fn floor(self) -> u64 {
        match self {
            Self::Whole(seconds) | Self::Between(seconds) => seconds,
        }
    }

    /// Rounds up; used for `nbf` and `iat`.
    pub const fn ceil(self) -> u64 {
        match self {
            Self::Whole(seconds) => seconds,
            Self::Between(seconds) => seconds + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1600000000", Some((1_600_000_000, 1_600_000_000)))]
    #[case("1600000000.0", Some((1_600_000_000, 1_600_000_000)))]
    #[case("1.6e9", Some((1_600_000_000, 1_600_000_000)))]
    #[case("1600000000.1", Some((1_600_000_000, 1_600_000_001)))]
    #[case("1599999999.9", Some((1_599_999_999, 1_600_000_000)))]
    #[case("0", Some((0, 0)))]
    #[case("-0", Some((0, 0)))]
    #[case("-0.0", Some((0, 0)))]
    #[case("1e-9", Some((0, 1)))]
    #[case("9007199254740991", Some((MAX, MAX)))]
    #[case("9e15", Some((9_000_000_000_000_000, 9_000_000_000_000_000)))]
    #[case("9007199254740992", None)]
    #[case("9007199254740992.0", None)]
    #[case("18446744073709551615", None)]
    #[case("18446744073709551616", None)]
    #[case("1e300", None)]
    #[case("-1", None)]
    #[case("-0.5", None)]
    #[case("\"1600000000\"", None)]
    #[case("true", None)]
    #[case("null", None)]
    #[case("[1600000000]", None)]
    #[case("{}", None)]
    fn a_numeric_date_is_parsed(#[case] written: &str, #[case] read: Option<(u64, u64)>) {
        let date = NumericDate::read(&serde_json::from_str(written).unwrap());
        assert_eq!(date.map(|date| (date.floor(), date.ceil())), read);
    }
}
