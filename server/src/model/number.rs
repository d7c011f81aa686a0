//! Numbers as DynamoDB keeps them: decimal, at most 38 significant digits, 1E-130 to 9.99…E+125.

use thiserror::Error;

/// Significant digits that survive the store. Source: DynamoDB, "Supported data types and naming rules", Number.
const MAX_DIGITS: usize = 38;

/// Powers of ten of the first digit that the store takes; the same source.
const MAGNITUDES: std::ops::RangeInclusive<i64> = -130..=125;

/// Why a number cannot be stored as it is.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum Unstorable {
    #[error("the number has {0} significant digits, the store keeps {MAX_DIGITS} exactly; send it as a string")]
    TooManyDigits(usize),
    #[error("the number is out of range: its size must be 0, or from 1E-130 to 9.99E+125; send it as a string")]
    OutOfRange,
    #[error("this is not a number")]
    NotANumber,
}

/// The one text for a number's value, from any way to write it: `1.50e1`, `15.0` and `15` are `15`.
///
/// Every store gets and gives this text, so that none of their own habits (`1E+2` or `100`) is ever seen.
pub(super) fn canonical(token: &str) -> Result<String, Unstorable> {
    let (negative, unsigned) = token.strip_prefix('-').map_or((false, token), |rest| (true, rest));
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = [whole, fraction].concat();
    if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Unstorable::NotANumber);
    }
    let significant = all.trim_start_matches('0');
    let leading_zeros = all.len() - significant.len();
    let digits = significant.trim_end_matches('0');
    if digits.is_empty() {
        return Ok("0".to_owned());
    }
    if digits.len() > MAX_DIGITS {
        return Err(Unstorable::TooManyDigits(digits.len()));
    }
    // The power of ten of the first significant digit.
    let magnitude = exponent.saturating_add(whole.len() as i64 - 1 - leading_zeros as i64);
    if !MAGNITUDES.contains(&magnitude) {
        return Err(Unstorable::OutOfRange);
    }
    Ok(format!("{}{}", if negative { "-" } else { "" }, notation(digits, magnitude)))
}

/// An exponent, pinned to ±10⁹ where it is longer than any number can be: the range check refuses it all the same.
fn parse_exponent(text: &str) -> Result<i64, Unstorable> {
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Unstorable::NotANumber);
    }
    Ok(sign * digits.parse::<i64>().unwrap_or(i64::MAX).min(1_000_000_000))
}

/// Plain notation where a person would write it so, scientific beyond.
fn notation(digits: &str, magnitude: i64) -> String {
    match usize::try_from(magnitude) {
        Ok(power) if power < MAX_DIGITS => {
            if digits.len() <= power + 1 {
                format!("{digits}{}", "0".repeat(power + 1 - digits.len()))
            } else {
                format!("{}.{}", &digits[..=power], &digits[power + 1..])
            }
        }
        Err(_) if magnitude >= -7 => format!("0.{}{digits}", "0".repeat(magnitude.unsigned_abs() as usize - 1)),
        _ if digits.len() == 1 => format!("{digits}E{magnitude:+}"),
        _ => format!("{}.{}E{magnitude:+}", &digits[..1], &digits[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_has_one_text() {
        for (token, text) in [
            ("0", "0"),
            ("-0", "0"),
            ("0.000", "0"),
            ("15", "15"),
            ("15.0", "15"),
            ("1.50e1", "15"),
            ("1500E-2", "15"),
            ("-0.1", "-0.1"),
            ("0.001", "0.001"),
            ("1e-7", "0.0000001"),
            ("1e-8", "1E-8"),
            ("12e-9", "1.2E-8"),
            ("1e37", "10000000000000000000000000000000000000"),
            ("1e38", "1E+38"),
            ("9.9e125", "9.9E+125"),
            ("1e-130", "1E-130"),
            ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
            ("0.12345678901234567890123456789012345678", "0.12345678901234567890123456789012345678"),
            ("9007199254740993", "9007199254740993"),
        ] {
            assert_eq!(canonical(token).as_deref(), Ok(text), "{token}");
            assert_eq!(canonical(text).as_deref(), Ok(text), "{text} is not a fixed point");
        }
    }

    #[test]
    fn what_would_change_is_refused() {
        for (token, why) in [
            ("123456789012345678901234567890123456789", Unstorable::TooManyDigits(39)),
            ("1e126", Unstorable::OutOfRange),
            ("1e-131", Unstorable::OutOfRange),
            ("1e99999999999999999999999", Unstorable::OutOfRange),
            ("-1e-99999999999999999999999", Unstorable::OutOfRange),
            ("", Unstorable::NotANumber),
            ("1e", Unstorable::NotANumber),
            ("NaN", Unstorable::NotANumber),
        ] {
            assert_eq!(canonical(token), Err(why), "{token}");
        }
        assert!(canonical(&format!("0e{}", "9".repeat(400))).is_ok(), "zero is zero at any exponent");
    }
}
