//! `.env` files, read as abra reads them, and variables in compose files, filled in as docker/cli does it.

use harness::pure::recipe::compose::{BadEnv, Env, EnvFault, Flaw, Modifiers, fill};
use proptest::prelude::*;

fn lookup(name: &str) -> Option<&'static str> {
    match name {
        "A" => Some("1"),
        "E" => Some(""),
        "_b2" => Some("two"),
        _ => None,
    }
}

#[test]
fn variables_are_filled_in_like_docker() {
    for (text, filled) in [
        ("plain", "plain"),
        ("$A ${A} ${_b2}", "1 1 two"),
        ("$$A $${A}", "$A ${A}"),
        ("[$U][${U}]", "[][]"),
        ("${U:-d} ${E:-d} ${A:-d}", "d d 1"),
        ("${U-d} ${E-d} ${A-d}", "d  1"),
        ("${A:?m} ${A?m} ${E?m}", "1 1 "),
        ("${U:-}", ""),
        ("$A.$A", "1.1"),
        // The default keeps its variables, and ends at the first brace.
        ("${U:-${A}}", "${A}"),
        ("${U:-$A}", "$A"),
        // An operator counts without braces.
        ("$U-$A", "$A"),
        ("$A-x}y", "1}y"),
        ("$A:8080", "1:8080"),
        // `-` comes before `?`.
        ("${U:?must-be}", "be"),
        // A later variable that can be filled in hides an earlier flaw.
        ("${A:+b} $A", "{A:+b} 1"),
        ("${U:?gone} ${A}", " 1"),
    ] {
        assert_eq!(fill(text, lookup).as_deref(), Ok(filled), "{text}");
    }
}

#[test]
fn variable_that_docker_refuses_is_refused() {
    let missing = |variable: &str, message: &str| Flaw::Missing { variable: variable.into(), message: message.into() };
    for (text, flaw) in [
        ("$", Flaw::Invalid),
        ("100 $", Flaw::Invalid),
        ("$1", Flaw::Invalid),
        ("${A", Flaw::Invalid),
        ("${}", Flaw::Invalid),
        ("${A:+b}", Flaw::Invalid),
        ("${A+b}", Flaw::Invalid),
        ("$A ${A!}", Flaw::Invalid),
        ("${U:?set it}", missing("U", "set it")),
        ("${E:?set it}", missing("E", "set it")),
        ("${U?}", missing("U", "")),
    ] {
        assert_eq!(fill(text, lookup), Err(flaw), "{text}");
    }
}

proptest! {
    #[test]
    fn text_without_dollar_stays_unchanged(text in "[^$]*") {
        prop_assert_eq!(fill(&text, lookup), Ok(text));
    }

    #[test]
    fn any_text_is_filled_in_or_refused(text in "[$A{}:?+-]{0,12}") {
        let _ = fill(&text, lookup);
    }
}

fn modifiers(length: Option<u32>, charset: Option<&str>, generate: bool) -> Modifiers {
    Modifiers { length, charset: charset.map(str::to_owned), generate }
}

#[test]
fn env_is_read_like_abra() {
    let env = Env::parse(
        "TYPE=ghost:1.2.3+4\r\nCOMPOSE_FILE=\"compose.yml\"\nCOMPOSE_FILE=\"$COMPOSE_FILE:compose.db.yml\"\n\
         export EXPORTED=1\n#OFF=1\n  INDENTED = a b  # c\nLITERAL='$TYPE # kept'\nEMPTY=\nHASH=a#b\nMARK= # no comment\nTWICE=a # b # c\n\
         TWO=\"a\nb\"\nESCAPED=\"\\$TYPE \\\"q\\\" \\n\"\nBRACED=${EXPORTED}2$GONE\nlower=$lower\nCOLON: x\nLAST=end",
    )
    .unwrap();

    for (key, value) in [
        ("TYPE", Some("ghost:1.2.3+4")),
        ("COMPOSE_FILE", Some("compose.yml:compose.db.yml")),
        ("EXPORTED", Some("1")),
        ("OFF", None),
        ("INDENTED", Some("a b")),
        ("LITERAL", Some("$TYPE # kept")),
        ("EMPTY", Some("")),
        ("HASH", Some("a#b")),
        ("MARK", Some("# no comment")),
        ("TWICE", Some("a # b")),
        ("TWO", Some("a\nb")),
        ("ESCAPED", Some("$TYPE \"q\" \n")),
        ("BRACED", Some("12")),
        ("lower", Some("$lower")),
        ("COLON", Some("x")),
        ("LAST", Some("end")),
    ] {
        assert_eq!(env.get(key), value, "{key}");
    }
    assert_eq!(env.clone().with("TYPE", "x").get("TYPE"), Some("x"));
}

#[test]
fn comments_of_secret_versions_are_modifiers() {
    let env = Env::parse(
        "SECRET_A_VERSION=v1 # length=64 charset=hex\nSECRET_B_VERSION=v1 # generate=false by hand\nSECRET_C_VERSION=v1\n\
         #SECRET_D_VERSION=v1 # length=3\nSECRET_E_VERSION=\"v2\" # length=8\nOTHER=v1 # length=9\n",
    )
    .unwrap();

    let read: Vec<_> = env.modifiers().map(|(key, modifiers)| (key, modifiers.clone())).collect();

    let expected = [
        ("SECRET_A_VERSION", modifiers(Some(64), Some("hex"), true)),
        ("SECRET_B_VERSION", modifiers(None, None, false)),
        ("SECRET_E_VERSION", modifiers(Some(8), None, true)),
    ];
    assert_eq!(read, expected);
}

#[test]
fn invalid_line_is_named_in_the_error() {
    for (text, line, fault) in [
        ("A=1\nB C!=2\n", 2, EnvFault::Character('!')),
        ("\n\nNAME\nB=1\n", 3, EnvFault::NoValue("NAME".into())),
        ("A=1\nB-C=2", 2, EnvFault::Character('-')),
        ("A=1\nB=\"never\nC=2\n", 2, EnvFault::Unclosed('"')),
        ("B='never", 1, EnvFault::Unclosed('\'')),
        ("A=1\nSECRET_A_VERSION=v1 # length=long", 2, EnvFault::Length("long".into())),
    ] {
        assert_eq!(Env::parse(text), Err(BadEnv { line, fault }), "{text:?}");
    }
    assert_eq!(
        Env::parse("\nA?=1").unwrap_err().to_string(),
        "line 2 of the .env cannot be read: '?' is not allowed in a variable's name"
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[A-C=\"'#$\\\\{} \n]{0,40}|.{0,60}") {
        let _ = Env::parse(&text);
    }
}
