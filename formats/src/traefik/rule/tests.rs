use super::*;

fn request(host: &str, path: &str) -> Request {
    Request { host: Some(host.into()), path: Some(path.into()), ..Request::default() }
}

fn within(shapes: &[HostShape]) -> Hosts {
    Hosts::Within(shapes.iter().cloned().collect())
}

#[test]
fn rule_takes_a_request_as_its_syntax_says() {
    for (syntax, rule, host, path, takes) in [
        (Syntax::V3, "Host(`a.test`)", "A.test", "/", Takes::Yes),
        (Syntax::V3, "Host(`a.test`)", "b.test", "/", Takes::No),
        (Syntax::V3, "HOST(`a.test`) && pathprefix(\"/x\")", "a.test", "/xy", Takes::Yes),
        (Syntax::V3, "Host(`a.test`) && !(Path(`/x`) || Path(`/y`))", "a.test", "/y", Takes::No),
        (Syntax::V3, "Host(`a.test`) || Host(`b.test`) && Path(`/x`)", "a.test", "/", Takes::Yes),
        (Syntax::V3, "HostRegexp(`^[a-z]+\\.a\\.test$`)", "x.a.test", "/", Takes::Yes),
        (Syntax::V3, "HostRegexp(`{sub:[a-z]+}.a.test`)", "x.a.test", "/", Takes::No),
        (Syntax::V2, "HostRegexp(`{sub:[a-z]+}.a.test`)", "x.a.test", "/", Takes::Yes),
        (Syntax::V2, "HostRegexp(`{sub}.a.test`)", "x.y.a.test", "/", Takes::No),
        (Syntax::V2, "Host(`a.test`, `b.test`)", "b.test", "/", Takes::Yes),
        (Syntax::V2, "Path(`/a/{id:[0-9]+}`, `/b`)", "x", "/a/12", Takes::Yes),
        (Syntax::V2, "PathPrefix(`/a`)", "x", "/ab", Takes::Yes),
        (Syntax::V3, "Host(`a.test`) && Header(`X-A`, `1`)", "a.test", "/", Takes::Unknown),
        (Syntax::V3, "Host(`a.test`) && Header(`X-A`, `1`)", "b.test", "/", Takes::No),
        (Syntax::V3, "Host(`a.test`) || Method(`POST`)", "a.test", "/", Takes::Yes),
    ] {
        assert_eq!(Rule::parse(rule, syntax).unwrap().takes(&request(host, path)), takes, "{syntax:?} {rule} {host}{path}");
    }
}

#[test]
fn rule_that_traefik_refuses_is_invalid_with_its_cause() {
    for (syntax, rule, cause) in [
        (Syntax::V3, "", "the end of the rule is not expected"),
        (Syntax::V3, "Host(`a`, `b`)", "Host has 2 arguments"),
        (Syntax::V3, "Host('a.test')", "a text is in backticks or double quotes, not in single ones"),
        (Syntax::V3, "Host(`a`", "the end of the rule is not expected"),
        (Syntax::V3, "Host(a.test)", "'.' is not expected"),
        (Syntax::V3, "Host()", "an argument of Host is missing"),
        (Syntax::V3, "Host(`a`) Host(`b`)", "the name Host is not expected"),
        (Syntax::V3, "Host(`a`)\n|| Host(`b`)", "the end of a line is not expected"),
        (Syntax::V3, "hOst(`a`)", "there is no matcher hOst"),
        (Syntax::V3, "Headers(`a`, `b`)", "there is no matcher Headers"),
        (Syntax::V2, "PathRegexp(`a`)", "there is no matcher PathRegexp"),
        (Syntax::V2, "HostRegexp(`{a`)", "brackets in \"{a\" are not balanced"),
        (Syntax::V3, "Path(`a`)", "the path \"a\" does not begin with a slash"),
        (Syntax::V3, "ClientIP(`10.0.0.0/33`)", "\"10.0.0.0/33\" is neither an address nor a network"),
    ] {
        assert_eq!(Rule::parse(rule, syntax).unwrap_err(), RuleError::Invalid(cause.into()), "{rule}");
    }
}

#[test]
fn uncertain_rule_is_unsupported() {
    for rule in ["Host(`a`) /* x */", "HostRegexp(`\\Qa\\E`)", "Host(\"\\x61\")", &format!("{}Host(`a`)", "!".repeat(1000))] {
        assert!(matches!(Rule::parse(rule, Syntax::V3), Err(RuleError::Unsupported(_))), "{rule}");
    }
}

#[test]
fn hosts_bound_what_a_rule_may_take() {
    let name = |name: &str| HostShape::Name(name.into());
    let ending = |text: &str| HostShape::Ending(text.into());
    for (syntax, rule, hosts) in [
        (Syntax::V3, "Host(`A.test`) && PathPrefix(`/x`)", within(&[name("a.test")])),
        (Syntax::V3, "Host(`a.test`) || Host(`b.test.`)", within(&[name("a.test"), name("b.test")])),
        (Syntax::V3, "Host(`a.test`) || PathPrefix(`/x`)", Hosts::Any),
        (Syntax::V3, "!Host(`a.test`)", Hosts::Any),
        (Syntax::V3, "!(!Host(`a.test`) || Path(`/x`))", within(&[name("a.test")])),
        (Syntax::V3, "HostRegexp(`^.+\\.a\\.test$`) && Host(`x.a.test`)", within(&[name("x.a.test")])),
        (Syntax::V3, "HostRegexp(`^.+\\.a\\.test$`)", within(&[ending(".a.test")])),
        (Syntax::V3, "HostRegexp(`^.+a\\.test$`)", within(&[ending("a.test")])),
        (Syntax::V3, "HostRegexp(`^x$|a\\.test$`)", Hosts::Any),
        (Syntax::V3, "HostRegexp(`.+`)", Hosts::Any),
        (Syntax::V3, "HostRegexp(`^.+\\.test`)", Hosts::Any),
        (Syntax::V2, "HostRegexp(`{sub:.+}.a.test`, `b.test`)", within(&[ending(".a.test"), ending("b.test")])),
        (Syntax::V2, "HostRegexp(`{any:.+}`)", Hosts::Any),
    ] {
        assert_eq!(Rule::parse(rule, syntax).unwrap().hosts(), hosts, "{rule}");
    }
}

#[test]
fn rule_of_unknown_syntax_has_the_readings_that_traefik_accepts() {
    let count = |rule: &str| Rule::readings(rule).map(|readings| readings.len());
    assert_eq!(count("Host(`a`)"), Ok(2));
    assert_eq!(count("Host(`a`, `b`)"), Ok(1), "version 2 alone");
    assert_eq!(count("PathRegexp(`^/a`)"), Ok(1), "version 3 alone");
    assert_eq!(count("Host(a)"), Err(RuleError::Invalid("the name a is not expected".into())));
}

#[test]
fn rule_as_long_as_a_book_is_unsupported() {
    for link in [" || ", " && "] {
        let hosts = |count: usize| vec!["Host(`a`)"; count].join(link);
        assert!(Rule::readings(&hosts(1000)).is_ok(), "{link}");
        assert!(matches!(Rule::readings(&hosts(100_000)), Err(RuleError::Unsupported(_))), "{link}");
    }
}
