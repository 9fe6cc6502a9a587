//! Generated compose files, variables and files of variables: each with the habits of Docker's loader at which readers part ways.

use std::{collections::BTreeMap, fmt::Write};

use crate::compose_values::{OBJECTS, SCALARS, SERVICE, VERSIONS};

/// The files of an app and its variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeCase {
    /// The files by path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The variables.
    pub env: BTreeMap<String, String>,
}

/// A small generator of random numbers (SplitMix64), so that a seed is enough to make a case again.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
    /// The share of values that are drawn from all, in percent; the others are the first, which Docker takes.
    odd: usize,
}

impl Random {
    /// A generator for a seed.
    pub fn new(seed: u64) -> Self {
        let mut random = Self { state: seed, odd: 0 };
        random.odd = [1, 3, 6, 12, 30][random.below(5)];
        random
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// A case of a seed. `collected` are files of real recipes, of which some cases are variations.
pub fn case(seed: u64, collected: &[String]) -> ComposeCase {
    let random = &mut Random::new(seed);
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let version = match random.below(10) {
        0 => Some(random.pick(VERSIONS)),
        1 => None,
        2 | 3 => Some("\"3.8\""),
        _ => Some("\"3.13\""),
    };
    let folder = random.pick(&["", "", "", "sub/"]);
    let names: Vec<String> = (0..=random.below(10) / 5 + random.below(2))
        .map(|number| format!("{folder}{}", ["compose.yml", "compose.over.yml", "compose.last.yml"][number.min(2)]))
        .collect();
    for name in &names {
        let version = if random.percent(1) { Some(random.pick(VERSIONS)) } else { version };
        let mut text = match random.below(100) {
            0..15 if !collected.is_empty() => collected[random.below(collected.len())].clone(),
            15..25 => format!("version: \"3.13\"\nservices: {{}}\nx-a:{}\nx-b: {}\n", soup(random), soup(random)),
            _ => file(random, version),
        };
        if random.percent(random.odd) {
            for _ in 0..=random.below(3) {
                text = mutated(random, &text);
            }
        }
        let mut bytes = text.into_bytes();
        if random.below(300) == 0 && !bytes.is_empty() {
            let at = random.below(bytes.len());
            bytes.insert(at, 0xe9);
        }
        files.insert(name.clone(), bytes);
    }
    let lines = [
        "A=1",
        "B=",
        "C",
        "export D=1",
        "  E=x y ",
        "# no",
        "=x",
        "F G=1",
        "F\u{a0}=1",
        "T=a=b",
        "N='q'",
        "\u{feff}Z=1",
        "",
        "A=2\r",
    ];
    for name in ["app.env", "more.env"] {
        let mut line = || {
            let end = if random.percent(80) { 2 } else { lines.len() };
            lines[random.below(end)]
        };
        let text: Vec<&str> = (0..4).map(|_| line()).collect();
        files.insert(format!("{folder}{name}"), text.join("\n").into_bytes());
    }
    files.insert(format!("{folder}latin.env"), b"A=caf\xe9\n".to_vec());
    files.insert(format!("{folder}x"), b"x".to_vec());
    ComposeCase { files, env: env(random, &names) }
}

fn env(random: &mut Random, names: &[String]) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([("COMPOSE_FILE".to_owned(), names.join(":")), ("STACK_NAME".to_owned(), "shop".to_owned())]);
    let variables = [
        ("A", &["", "1", "x y", "a$b", "-", "${B}", "0120", "é"] as &[&str]),
        ("B", &["", "b"]),
        ("C", &["c", ""]),
        ("E", &["", "e"]),
        ("N", &["5", "n"]),
        ("T", &["true", "YES", "Off", "maybe", ""]),
        ("R", &["3", "+3", "-3", "3.0", "0x3", ""]),
        ("M", &["0440", "292"]),
        ("F", &["0.5", "1e-1", "inf", "x", ".5"]),
        ("D", &["90s", "90"]),
        ("PORT", &["8080", "80", "0", "x"]),
        ("HOME", &["/root"]),
    ];
    for (key, values) in variables {
        if random.percent(50) {
            env.insert(key.to_owned(), random.pick(values).to_owned());
        }
    }
    env
}

/// The first of the values, one of the others, or any scalar.
fn value<'a>(random: &mut Random, values: &[&'a str]) -> &'a str {
    match random.percent(random.odd) {
        false => values[0],
        true if random.percent(15) => random.pick(SCALARS),
        true => random.pick(values),
    }
}

fn file(random: &mut Random, version: Option<&str>) -> String {
    let mut text = String::new();
    for start in ["\u{feff}", "# é\n", "%YAML 1.1\n---\n", "---\n", "# a\u{2028}", "# x\n \t# y\n"] {
        if random.percent(3) {
            text.push_str(start);
        }
    }
    if let Some(version) = version {
        let _ = writeln!(text, "version: {version}");
    }
    anchors(random, &mut text);
    let sections = ["services", "networks", "volumes", "secrets", "configs"];
    for section in sections {
        if section != "services" && random.percent(20) {
            continue;
        }
        let _ = writeln!(text, "{section}:");
        let objects: Vec<(&str, &[&str])> = match section {
            "services" => vec![("app", &[]), ("db", &[]), ("\"b.c\"", &[])],
            section => OBJECTS.iter().filter(|(of, _, _)| *of == section).map(|(_, name, values)| (*name, *values)).collect(),
        };
        let mut some = false;
        for (number, (name, values)) in objects.into_iter().enumerate() {
            if number > 0 && random.percent(60) {
                continue;
            }
            some = true;
            match values {
                [] => service(random, &mut text, name),
                values => {
                    let _ = writeln!(text, "  {name}: {}", value(random, values));
                }
            }
        }
        if !some {
            text.push_str("  {}\n");
        }
    }
    if random.percent(8) {
        let _ = writeln!(text, "x-last: {}", value(random, &["1", "{a: b}", "[1, 2]"]));
    }
    if random.percent(12) {
        let _ = writeln!(text, "x-soup:{}", soup(random));
    }
    for end in ["...\n", "---\n", "...\nfoo: bar\n", "---\na: b\n", "bogus: 1\n", "# end", "\t\n", "\u{2029}"] {
        if random.percent(1) {
            text.push_str(end);
        }
    }
    if random.percent(4) {
        text = text.replace('\n', "\r\n");
    }
    text
}

/// Pieces of YAML in any order.
fn soup(random: &mut Random) -> String {
    let pieces = [
        " ", "  ", "\n  ", "\n    ", "\n ", "\t", "- ", "-", "? ", "?", ": ", ":", ", ", ",", "[", "]", "{", "}", "# c\n", " #",
        "&a ", "*a", "*a ", "!!str ", "!!int ", "! ", "!x", "'", "\"", "'b'", "\"c\"", "|\n", ">-\n", "a", "b: c", "5", "0x1F",
        "~", "<<: ", "\\", "\r\n", "\u{85}", "\u{2028}", "---", "...", "%", "@", "é",
    ];
    let mut text = String::new();
    let most = if random.percent(50) { 4 } else { 14 };
    for _ in 0..=random.below(most) {
        text.push_str(pieces[random.below(pieces.len())]);
    }
    text
}

/// Extensions with anchors, which services merge.
fn anchors(random: &mut Random, text: &mut String) {
    for (name, body) in [
        ("x-one", "{image: one, labels: {a: 1}, volumes: [\"data:/one\"]}"),
        ("x-two", "{image: two, user: two, environment: {A: 2}}"),
        ("x-list", "[a, b]"),
        ("x-text", "text"),
    ] {
        if random.percent(40) {
            let _ = writeln!(text, "{name}: &{} {body}", &name[2..]);
        } else {
            let _ = writeln!(text, "{name}: &{} {{}}", &name[2..]);
        }
    }
}

fn service(random: &mut Random, text: &mut String, name: &str) {
    let merges = [
        "<<: *one",
        "<<: [*one, *two]",
        "<<: [*two, *one]",
        "!!merge <<: *one",
        "<<: ~",
        "<<: *list",
        "\"<<\": *one",
        "<<: {image: x, <<: *two}",
        "<<: *one\n    <<: *two",
        "<<: [*one, {1: x, user: u}]",
        "? <<\n    : *one",
        "<<: &self {<<: *self}",
        "<<: {~: x, 5: y}",
        "! <<: *two",
        "<<: [*one, *list]",
        "<<: [{user: a}, {user: b, <<: {user: c, hostname: c}}, {hostname: d}]",
    ];
    let gap = random.pick(&[" ", " ", " ", " ", "\t", " \t ", "  "]);
    let _ = writeln!(text, "  {name}:{}", random.pick(&["", "", "", "", " # c", " &svc", "\t"]));
    let mut lines: Vec<String> = Vec::new();
    if random.percent(80) {
        lines.push(format!("image:{gap}nginx"));
    }
    if random.percent(25) {
        lines.push(if random.percent(random.odd) { random.pick(&merges) } else { random.pick(&merges[..3]) }.to_owned());
    }
    for _ in 0..random.below(5) {
        let (key, values) = SERVICE[random.below(SERVICE.len())];
        if lines.iter().any(|line| line.starts_with(key)) && !random.percent(random.odd) {
            continue;
        }
        let value = value(random, values);
        match random.below(2000 / random.odd) {
            0 => lines.push(format!("\"{key}\":{gap}{value}")),
            1 => lines.push(format!("? {key}\n    :{gap}{value}")),
            2 => lines.push(format!(
                "{key}:{gap}{value} # {}",
                random.pick(&["c", "c\u{85}    user: evil", "c\u{2028}    user: evil"])
            )),
            3 if value.starts_with(['[', '{']) => lines.push(format!("{key}:\n    {value}")),
            4 => lines.push(format!("{key}:\n      &k\n      {value}")),
            5 => lines.push(format!("{key}: *text")),
            6 => lines.push(format!("!!str {key}: {value}")),
            7 if value.starts_with('[') => {
                let items = value.trim_matches(['[', ']']).split(", ").map(|item| format!("\n    - {item}"));
                lines.push(format!("{key}:{}", items.collect::<String>()));
            }
            8 => lines.push(format!("{}: {value}", key.to_uppercase())),
            9 => lines.push(format!("{}: {value}", random.pick(&["mem_limit", "extends", "bogus"]))),
            _ => lines.push(format!("{key}:{gap}{value}")),
        }
    }
    if lines.is_empty() {
        lines.push("{}".to_owned());
    }
    for line in lines {
        let _ = writeln!(text, "    {line}");
    }
}

/// A variation: a line twice, gone, indented otherwise, with another value, or a character more or less.
fn mutated(random: &mut Random, text: &str) -> String {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let at = random.below(lines.len());
    match random.below(8) {
        0 => lines.insert(at, lines[at].clone()),
        1 => drop(lines.remove(at)),
        2 => lines[at].insert(0, random.pick(&["", " ", "\t", "  "]).chars().next().unwrap_or(' ')),
        3 => lines[at] = lines[at].strip_prefix(' ').unwrap_or(&lines[at]).to_owned(),
        4 | 5 => {
            if let Some((key, _)) = lines[at].clone().split_once(':') {
                lines[at] = format!("{key}: {}", random.pick(SCALARS));
            }
        }
        6 => {
            let mut chars: Vec<char> = text.chars().collect();
            if !chars.is_empty() {
                chars.remove(random.below(chars.len()));
            }
            return chars.into_iter().collect();
        }
        _ => {
            let mut chars: Vec<char> = text.chars().collect();
            let set = [
                ' ', '\t', '\n', '\r', ':', '-', '?', '#', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`', '{', '}', '[', ']',
                ',', '$', '\\', '<', '~', '0', 'a', '\u{85}', '\u{2028}', '\u{2029}', '\u{feff}', '\u{0}', '\u{7f}', '\u{a0}',
                'é', '🙂',
            ];
            let c = set[random.below(set.len())];
            chars.insert(random.below(chars.len() + 1), c);
            return chars.into_iter().collect();
        }
    }
    lines.join("\n")
}
