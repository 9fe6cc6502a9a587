//! Durations, sizes and processors as Go and Docker write them.

use std::time::Duration;

/// A duration as Go's `time.ParseDuration` reads it: `90s`, `1m30s`, `1.5h`, `0`. Negative durations are refused.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
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
    // Go counts nanoseconds in 63 bits.
    i64::try_from(total).ok().and_then(|nanos| u64::try_from(nanos).ok()).map(Duration::from_nanos)
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

/// Bytes as Docker's `units.RAMInBytes` reads them: `512m`, `1.5G`, `64KiB`, `100`; every unit is a power of 1024.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let digits = text.rfind(|c: char| c.is_ascii_digit() || c == '.')? + 1;
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let power = match unit.strip_suffix('b').map_or(unit.as_str(), |unit| unit.strip_suffix('i').unwrap_or(unit)) {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    times(number, 1024_u128.pow(power)).and_then(|bytes| u64::try_from(bytes).ok())
}

/// Processors in billionths, as Docker counts them.
pub(super) fn nano_cpus(text: &str) -> Option<u64> {
    times(text, 1_000_000_000).and_then(|nanos| u64::try_from(nanos).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("0", Some(0)),
            ("90s", Some(90_000)),
            ("1m30s", Some(90_000)),
            ("1.5h", Some(5_400_000)),
            ("100ms", Some(100)),
            (".5s", Some(500)),
            ("1h1ms", Some(3_600_001)),
            ("", None),
            ("90", None),
            ("-5s", None),
            ("1 s", None),
            ("1d", None),
            ("s", None),
            ("99999999h", None),
        ] {
            assert_eq!(duration(text), millis.map(Duration::from_millis), "{text}");
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
            ("", None),
            ("G", None),
            ("1x", None),
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
