//! The reader against recorded answers of the Go library that abra's reader is based on, and abra's own comments.

use serde::Deserialize;

use super::*;

/// The recorded answers, a line each behind one that says how they are recorded.
const RECORDED: &str = include_str!("../../../unit-tests/fixtures/godotenv.jsonl");

/// A recorded answer.
#[derive(Deserialize)]
struct Answer {
    text: String,
    #[serde(default)]
    values: BTreeMap<String, String>,
    #[serde(default)]
    refused: bool,
}

/// How the reader and a recorded answer differ. The library does not look at the comments of secrets.
fn difference(answer: &Answer) -> Option<String> {
    let read = Env::parse(&answer.text);
    let same = match &read {
        Ok(env) => !answer.refused && env.values == answer.values,
        Err(BadEnv { fault: EnvFault::Character(_) | EnvFault::NoValue(_) | EnvFault::Unclosed(_), .. }) => answer.refused,
        Err(_) => true,
    };
    let recorded = if answer.refused { "refused".to_owned() } else { format!("{:?}", answer.values) };
    (!same).then(|| format!("{:?}\n  recorded {recorded}\n  read     {read:?}", answer.text))
}

#[test]
fn texts_are_read_or_refused_as_godotenv_does() {
    let answers: Vec<Answer> = RECORDED.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    let refused = answers.iter().filter(|answer| answer.refused).count();
    assert!(answers.len() > 1000 && refused > 200, "{} answers, {refused} refused", answers.len());

    let different: Vec<String> = answers.iter().filter_map(difference).collect();

    assert!(different.is_empty(), "{} of {} differ:\n{}", different.len(), answers.len(), different.join("\n"));
}

#[test]
fn assignments_know_their_line_and_their_place() {
    let text = "# first\nA=1 # one\r\nB=\"two\nlines\" # two\n  export C: 3";

    let found = assignments(text).unwrap();

    let plain = plain_line_ends(text);
    let seen: Vec<_> = found.iter().map(|found| (found.line, found.key.as_str(), &plain[found.span.clone()])).collect();
    assert_eq!(seen, [(2, "A", "A=1 # one"), (3, "B", "B=\"two\nlines\" # two"), (5, "C", "export C: 3")]);
}

#[test]
fn comment_of_a_secret_that_can_be_read_in_two_ways_is_refused() {
    let key = || "SECRET_A_VERSION".to_owned();
    for (text, fault) in [
        ("SECRET_A_VERSION=v1 # length=8 # generate=false", EnvFault::TwoMarks(key())),
        ("SECRET_A_VERSION=\"v1\" # length=8 #", EnvFault::TwoMarks(key())),
        ("SECRET_A_VERSION=v1 # length=8\nSECRET_A_VERSION=v2", EnvFault::TwoComments(key())),
        ("SECRET_A_VERSION=v1\nSECRET_A_VERSION=v2 # length=8", EnvFault::TwoComments(key())),
        ("SECRET_A_VERSION=v1 # length=8x", EnvFault::Length("8x".into())),
        ("SECRET_A_VERSION=v1 # generate=no", EnvFault::Generate("no".into())),
    ] {
        assert_eq!(Env::parse(text).map_err(|error| error.fault), Err(fault), "{text}");
    }
}

#[test]
fn comment_of_a_secret_is_read_like_abra() {
    let modifiers = |length, charset: Option<&str>, generate| Modifiers { length, charset: charset.map(str::to_owned), generate };
    for (text, expected) in [
        ("SECRET_A_VERSION=v1 # length=40 charset=hex", Some(modifiers(Some(40), Some("hex"), true))),
        ("SECRET_A_VERSION=v1 #charset=default,special", Some(modifiers(None, Some("default,special"), true))),
        ("SECRET_A_VERSION=v1 # generate=False by hand", Some(modifiers(None, None, false))),
        ("SECRET_A_VERSION=v1 # generate=1", Some(modifiers(None, None, true))),
        ("SECRET_A_VERSION='v1'# length=8", Some(modifiers(Some(8), None, true))),
        ("export SECRET_A_VERSION: v1 # length=8", Some(modifiers(Some(8), None, true))),
        ("SECRET_A_VERSION=v1# length=8", None),
        ("#SECRET_A_VERSION=v1 # length=8", None),
        ("A_VERSION=v1 # length=8x", None),
    ] {
        let env = Env::parse(text).unwrap();
        assert_eq!(env.modifiers().next().map(|(_, modifiers)| modifiers.clone()), expected, "{text}");
    }
}

#[test]
fn value_that_doubles_from_line_to_line_is_refused_before_it_fills_the_memory() {
    let doubling: String = (1..60).map(|number| format!("X{number}=$X{0}$X{0}\n", number - 1)).collect();
    let refused = Env::parse(&format!("X0=aaaaaaaaaa\n{doubling}")).unwrap_err();
    assert_eq!(refused, BadEnv { line: 15, fault: EnvFault::TooLong });
}
