//! Numbers as yaml.v2, Maistra's YAML library, reads them.

/// Whether yaml.v2 reads an unquoted scalar as a 64-bit integer. It accepts other bases,
/// underscores, and fractions, which it truncates.
pub fn is_integer(text: &str) -> bool {
    if ["-.inf", "-.Inf", "-.INF"].contains(&text) {
        return true;
    }
    match text.chars().next() {
        Some('.') => is_small_float(text),
        Some('+' | '-' | '0'..='9') => {
            let text = text.replace('_', "");
            match integer(&text) {
                Some(value) => value <= i128::from(i64::MAX),
                None => is_small_float(&text),
            }
        }
        _ => false,
    }
}

/// A 64-bit integer, as Go's `strconv` parses it.
fn integer(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let has_sign = digits.len() < text.len();
    let prefix = digits.get(..2).unwrap_or_default().to_ascii_lowercase();
    let (base, digits) = match (prefix.as_str(), digits.get(2..)) {
        ("0x", Some(digits)) => (16, digits),
        ("0o", Some(digits)) => (8, digits),
        ("0b", Some(digits)) => (2, digits),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, digits),
        _ => (10, digits),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = sign * i128::from_str_radix(digits, base).ok()?;
    let max = if has_sign {
        i128::from(i64::MAX)
    } else {
        i128::from(u64::MAX)
    };
    (i128::from(i64::MIN)..=max)
        .contains(&value)
        .then_some(value)
}

/// Whether a text is a decimal fraction that fits into a 64-bit integer.
fn is_small_float(text: &str) -> bool {
    let is_decimal = text
        .chars()
        .all(|character| matches!(character, '0'..='9' | '.' | 'e' | 'E' | '+' | '-'));
    // The maximum integer rounds to 2⁶³.
    is_decimal
        && text
            .parse::<f64>()
            .is_ok_and(|value| value.is_finite() && value <= i64::MAX as f64)
}
