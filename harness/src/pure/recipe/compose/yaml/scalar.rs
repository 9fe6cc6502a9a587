//! Types of scalars as Docker's YAML library (`resolve.go`) finds them: YAML 1.2 with the octals and floats of 1.1.

use super::Value;

/// The tag of a plain text without a written one.
pub(super) fn resolved_tag(text: &str) -> &'static str {
    natural(text, false).0
}

/// The value of a scalar with this tag, or what kind of value it is although the tag wants another.
pub(super) fn resolve(tag: &str, text: &str) -> Result<Value, &'static str> {
    match tag {
        "!!str" => Ok(Value::Text(text.to_owned())),
        "!!bool" | "!!int" | "!!float" | "!!null" | "!!timestamp" => {
            let (found, value) = natural(text, tag != "!!timestamp");
            match value {
                value if found == tag => Ok(value),
                Value::Whole(number) if tag == "!!float" => Ok(Value::Number(number as f64)),
                _ => Err(found),
            }
        }
        _ => Ok(Value::Text(text.to_owned())),
    }
}

/// The type and value of a text without a tag. A text with another tag than that of a date is not read as a date.
fn natural(text: &str, tagged: bool) -> (&'static str, Value) {
    let string = || ("!!str", Value::Text(text.to_owned()));
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return ("!!null", Value::Null),
        "true" | "True" | "TRUE" => return ("!!bool", Value::Truth(true)),
        "false" | "False" | "FALSE" => return ("!!bool", Value::Truth(false)),
        ".nan" | ".NaN" | ".NAN" => return ("!!float", Value::Number(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return ("!!float", Value::Number(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => return ("!!float", Value::Number(f64::NEG_INFINITY)),
        _ => {}
    }
    match text.as_bytes()[0] {
        b'.' => float(text).map_or_else(string, |number| ("!!float", Value::Number(number))),
        b'0'..=b'9' | b'+' | b'-' => {
            if let Some(date) = date(text).filter(|_| !tagged) {
                return ("!!timestamp", Value::Date(date));
            }
            let plain = text.replace('_', "");
            if let Some(number) = whole(&plain) {
                return ("!!int", number);
            }
            float(&plain).map_or_else(string, |number| ("!!float", Value::Number(number)))
        }
        _ => string(),
    }
}

/// An integer as Go's `ParseInt` and `ParseUint` read it with base 0: hexadecimal, binary, and octal by `0o` or a mere `0`.
fn whole(text: &str) -> Option<Value> {
    let (negative, signed, digits) = match text.as_bytes().first()? {
        b'-' => (true, true, &text[1..]),
        b'+' => (false, true, &text[1..]),
        _ => (false, false, text),
    };
    let prefix = digits.get(..2).map(str::to_ascii_lowercase);
    let (radix, digits) = match prefix.as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some(_) if digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    // `from_str_radix` takes a sign of its own.
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_alphanumeric()) {
        return None;
    }
    let size = u64::from_str_radix(digits, radix).ok()?;
    match (negative, i64::try_from(size)) {
        (false, Ok(number)) => Some(Value::Whole(number)),
        (true, Ok(number)) => Some(Value::Whole(-number)),
        (true, Err(_)) => (size == i64::MIN.unsigned_abs()).then_some(Value::Whole(i64::MIN)),
        (false, Err(_)) => (!signed).then_some(Value::Huge(size)),
    }
}

/// A float: `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`.
fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (digits, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(digits, power)| (digits, Some(power)));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (before, after) = digits.split_once('.').unwrap_or((digits, ""));
    let has_digits = !before.is_empty() || !after.is_empty();
    let exponent = exponent.map(|power| power.strip_prefix(['-', '+']).unwrap_or(power));
    let fits = has_digits && all_digits(before) && all_digits(after) && exponent.is_none_or(|e| !e.is_empty() && all_digits(e));
    text.parse::<f64>().ok().filter(|number| fits && number.is_finite())
}

/// A date or a time, in the form of RFC 3339. One with a zone of its own stays a text, and the caller refuses it.
fn date(text: &str) -> Option<String> {
    let (year, rest) = text.split_once('-').filter(|(year, _)| year.len() == 4 && is_number(year))?;
    let (month, rest) = rest.split_once('-')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (day, time) = rest.split_at(end);
    let (month, day) = (short_number(month)?, short_number(day)?);
    let last = match month {
        2 if leap(year.parse().ok()?) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day == 0 || day > last {
        return None;
    }
    let day = format!("{year}-{month:02}-{day:02}");
    if time.is_empty() {
        return Some(format!("{day}T00:00:00Z"));
    }
    let zoned = time.strip_prefix(['T', 't']);
    let (clock, zone) = match zoned {
        Some(time) => time.split_at(time.find(['Z', '+', '-'])?),
        // Blanks beyond the first one are taken as well.
        None => (time.strip_prefix(' ')?.trim_start_matches(' '), "Z"),
    };
    let mut parts = clock.splitn(3, ':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    let (second, fraction) = second.split_once(['.', ',']).map_or((second, ""), |(second, fraction)| (second, fraction));
    if second.len() < clock.len() && clock.ends_with(['.', ',']) || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hour, minute, second) = (short_number(hour)?, short_number(minute)?, short_number(second)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction = fraction.get(..fraction.len().min(9))?.trim_end_matches('0');
    let fraction = if fraction.is_empty() { String::new() } else { format!(".{fraction}") };
    let zone = zone_of(zone)?;
    Some(format!("{day}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}"))
}

fn zone_of(zone: &str) -> Option<&str> {
    if zone == "Z" {
        return Some(zone);
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let fits = |part: &str, most| part.len() == 2 && is_number(part) && part.parse::<u8>().is_ok_and(|number| number <= most);
    (fits(hours, 24) && fits(minutes, 60)).then_some(zone)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// One or two digits.
fn short_number(text: &str) -> Option<u8> {
    (is_number(text) && text.len() <= 2).then(|| text.parse().ok())?
}

fn leap(year: u16) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// A float as Go prints it by `%v`: the shortest digits, with an exponent below 10⁻⁴ and from 10⁶ on.
pub(in super::super) fn go_float(number: f64) -> String {
    let text = format!("{number:e}");
    let (digits, power) = text.split_once('e').map_or((text.as_str(), 0), |(digits, power)| (digits, power.parse().unwrap_or(0)));
    if number == 0.0 || (-4..6).contains(&power) {
        return number.to_string();
    }
    let sign = if power < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", i32::unsigned_abs(power))
}
