//! Durations, sizes and processors as Go and Docker write them.

use std::time::Duration;

/// A duration as Go's `time.ParseDuration` reads it, in nanoseconds: `90s`, `1m30s`, `-1.5h`, `0`.
pub(super) fn nanoseconds(text: &str) -> Option<i64> {
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let nanos: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60 * 1_000_000_000,
            "h" => 3_600 * 1_000_000_000,
            _ => return None,
        };
        total = total.checked_add(times(number, nanos)?)?;
        rest = after;
    }
    match (i64::try_from(total), negative) {
        (Ok(total), false) => Some(total),
        (Ok(total), true) => Some(-total),
        (Err(_), true) => (total == u128::from(i64::MIN.unsigned_abs())).then_some(i64::MIN),
        (Err(_), false) => None,
    }
}

/// A duration that is not negative.
pub(super) fn duration(text: &str) -> Option<Duration> {
    nanoseconds(text).and_then(|nanos| u64::try_from(nanos).ok()).map(Duration::from_nanos)
}

/// Nanoseconds as Go prints a duration: `1m30s`, `1.5s`, `100ms`, `0s`.
pub(super) fn go_duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let size = nanos.unsigned_abs();
    let part = |unit: u64| {
        let fraction = format!("{:0width$}", size % unit, width = unit.ilog10() as usize);
        let fraction = fraction.trim_end_matches('0');
        let point = if unit == 1 || fraction.is_empty() { String::new() } else { format!(".{fraction}") };
        format!("{}{point}", size / unit)
    };
    match size {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{size}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", part(1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", part(1_000_000)),
        _ => {
            let minutes = size / 60_000_000_000;
            let seconds = part_of_minute(size % 60_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

fn part_of_minute(nanos: u64) -> String {
    let fraction = format!("{:09}", nanos % 1_000_000_000);
    let fraction = fraction.trim_end_matches('0');
    let seconds = nanos / 1_000_000_000;
    if fraction.is_empty() { seconds.to_string() } else { format!("{seconds}.{fraction}") }
}

/// A decimal number times an integer, truncated.
fn times(number: &str, factor: u128) -> Option<u128> {
    let number = number.strip_prefix('+').unwrap_or(number);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // Digits beyond the 18th decimal place do not matter.
    let fraction = &fraction[..fraction.len().min(18)];
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    whole.checked_mul(factor)?.checked_add(part.checked_mul(factor)? / scale)
}

/// Bytes as Docker's `units.RAMInBytes` reads them: `512m`, `1.5G`, `64KiB`, `100`; every unit is a power of 1024. The library
/// counts in floats, and makes of a number that is too large the smallest one.
pub(super) fn bytes(text: &str) -> Option<i64> {
    let last = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ')?;
    let (number, unit) = match text.as_bytes()[last] {
        b' ' => (&text[..last], &text[last + 1..]),
        _ => text.split_at(last + 1),
    };
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let size: f64 = number.parse().ok().filter(|size: &f64| plain && size.is_finite() && *size >= 0.0)?;
    if unit.len() > 3 {
        return None;
    }
    let unit = unit.to_ascii_lowercase();
    let power = match unit.as_str() {
        "" | "b" => 0,
        unit => {
            let power = "kmgtp".find(unit.chars().next()?)? + 1;
            if !["", "b", "ib"].contains(&&unit[1..]) {
                return None;
            }
            power
        }
    };
    let size = size * 1024_f64.powi(i32::try_from(power).ok()?);
    Some(if size >= 9_223_372_036_854_775_808.0 { i64::MIN } else { size as i64 })
}

/// Processors in billionths, as Docker counts them.
pub(super) fn nano_cpus(text: &str) -> Option<u64> {
    times(text, 1_000_000_000).and_then(|nanos| u64::try_from(nanos).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_printed_as_by_go() {
        for (text, nanos, printed) in [
            ("0", 0, "0s"),
            ("90s", 90_000_000_000, "1m30s"),
            ("1m30s", 90_000_000_000, "1m30s"),
            ("1.5h", 5_400_000_000_000, "1h30m0s"),
            ("100ms", 100_000_000, "100ms"),
            (".5s", 500_000_000, "500ms"),
            ("1h1ms", 3_600_001_000_000, "1h0m0.001s"),
            ("-5s", -5_000_000_000, "-5s"),
            ("+1500us", 1_500_000, "1.5ms"),
            ("1500ns", 1_500, "1.5µs"),
            ("7ns", 7, "7ns"),
        ] {
            assert_eq!(nanoseconds(text), Some(nanos), "{text}");
            assert_eq!(go_duration(nanos), printed, "{text}");
        }
        for text in ["", "90", "1 s", "1d", "s", "99999999h", "-", "."] {
            assert_eq!(nanoseconds(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, size) in [
            ("100", Some(100)),
            ("10b", Some(10)),
            ("1k", Some(1024)),
            ("64KiB", Some(65_536)),
            ("512M", Some(536_870_912)),
            ("1.5G", Some(1_610_612_736)),
            ("2 gb", Some(2_147_483_648)),
            ("+1k", Some(1024)),
            ("1e3", Some(1000)),
            ("9e30", Some(i64::MIN)),
            ("5 ", Some(5)),
            ("", None),
            ("G", None),
            ("1x", None),
            ("1kk", None),
            ("-1", None),
            ("1..5G", None),
            ("1.aéééééééééé2", None),
        ] {
            assert_eq!(bytes(text), size, "{text}");
        }
    }

    #[test]
    fn processors_are_counted_in_billionths() {
        assert_eq!(nano_cpus("0.50"), Some(500_000_000));
        assert_eq!(nano_cpus("2"), Some(2_000_000_000));
        for text in ["many", "1.aéééééééééé", "-1"] {
            assert_eq!(nano_cpus(text), None, "{text}");
        }
    }
}
