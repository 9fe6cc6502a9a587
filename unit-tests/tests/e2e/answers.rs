//! Who answers for an app, on a real Swarm: the app itself, a neighbour, or a circle of redirects; and the ingress's matchers in
//! the Caddy that runs them.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
};

use formats::traefik::rule::{Rule, Syntax};
use libtest_mimic::Trial;
use sandbox::ingress::matcher::matcher_set;
use serde_json::{Value, json};
use unit_tests::{
    engine::until,
    sandbox_fixture::{IMAGE, SandboxFixture},
    test_env::TestEnv,
    test_run::{
        Outcome::{Green, Inconclusive, Red},
        Status::{Fail, Unver},
    },
};

use crate::trials::{e2e_tests, in_env};

pub(crate) fn tests(fixture: Option<&SandboxFixture>) -> Vec<Trial> {
    in_env(
        fixture,
        &e2e_tests![
            neighbour_with_the_apps_alias_leaves_the_answer_unverified,
            redirect_to_itself_is_red_with_its_chain,
            rule_with_paths_and_brackets_is_green_and_an_unknown_middleware_is_not_verified,
            caddy_takes_the_requests_that_traefik_takes,
        ],
    )
}

/// A recipe of one small web server; `labels` are further labels, `command` is its shell command.
fn web(env: &TestEnv<'_>, name: &str, rule: &str, labels: &[&str], command: &str) -> String {
    let labels: String = labels.iter().map(|label| format!("        - {label:?}\n")).collect();
    let compose = format!(
        "version: '3.8'\nservices:\n  app:\n    image: {IMAGE}\n    command: [\"sh\", \"-c\", {command:?}]\n    networks: [proxy]\n    \
         deploy:\n      labels:\n        - \"traefik.enable=true\"\n        - \"traefik.http.routers.${{STACK_NAME}}.rule={rule}\"\n        \
         - \"traefik.http.services.${{STACK_NAME}}.loadbalancer.server.port=80\"\n        \
         - \"coop-cloud.${{STACK_NAME}}.version=1.0.0+1\"\n{labels}networks:\n  proxy:\n    external: true\n"
    );
    env.recipe(name, &compose, &format!("TYPE={name}\nDOMAIN={name}.example.com\n")).display().to_string()
}

/// Serves one answer again and again.
const SERVES: &str =
    "while true; do printf 'HTTP/1.0 200 OK\\r\\nContent-Type: text/plain\\r\\n\\r\\nhello\\n' | nc -l -p 80; done";
/// Answers each request with a redirect to the front page.
const LOOPS: &str = "while true; do printf 'HTTP/1.0 302 Found\\r\\nLocation: /\\r\\n\\r\\n' | nc -l -p 80; done";

fn neighbour_with_the_apps_alias_leaves_the_answer_unverified(env: &TestEnv<'_>) {
    let engine = &env.fixture.engine;
    let mut running = env.run("hello").tiers("install").start();
    running.reached(r#""event":"step-started","step":"deploy""#);
    let domain = running.results()["domain"].as_str().unwrap().to_owned();
    let stack = domain.replace('.', "_");
    let thief = format!("thief-{}", domain.split('.').next().unwrap());
    let network = format!("name=proxy,alias={stack}_app");
    let created = engine.ok(&["service", "create", "--detach", "--name", &thief, "--network", &network, IMAGE, "sleep", "600"]);

    let run = running.expect(Inconclusive);
    let removed = engine.ok(&["service", "rm", &thief]);

    assert!(created && removed);
    run.says(&format!("{thief} has the name {stack}_app on the same network"))
        .step("http", Unver)
        .gap("unattributed")
        .nothing_left();
}

fn redirect_to_itself_is_red_with_its_chain(env: &TestEnv<'_>) {
    let recipe = web(env, "looping", "Host(`${DOMAIN}`)", &[], LOOPS);

    let run = env.run("looping").args(&["--path", &recipe]).tiers("install").expect(Red);

    let domain = run.results["domain"].as_str().unwrap().to_owned();
    run.says(&format!("its redirects lead round in a circle: https://{domain}/ → /"))
        .step("http", Fail)
        .owned_by("recipe")
        .cause("not-serving")
        .nothing_left();
}

fn rule_with_paths_and_brackets_is_green_and_an_unknown_middleware_is_not_verified(env: &TestEnv<'_>) {
    let rule = "(Host(`${DOMAIN}`) || Host(`www.${DOMAIN}`)) && PathPrefix(`/`) && !Path(`/nothing`)";
    let strip = "traefik.http.middlewares.${STACK_NAME}-strip.stripprefix.prefixes=/x";
    let uses = "traefik.http.routers.${STACK_NAME}.middlewares=${STACK_NAME}-strip";
    let recipe = web(env, "routed", rule, &[strip, uses], SERVES);
    env.run("routed").args(&["--path", &recipe]).tiers("install").expect(Green).nothing_left();

    let auth = "traefik.http.middlewares.${STACK_NAME}-auth.basicauth.usersfile=/etc/users";
    let uses = "traefik.http.routers.${STACK_NAME}.middlewares=${STACK_NAME}-auth";
    let recipe = web(env, "guarded", "Host(`${DOMAIN}`)", &[auth, uses], SERVES);
    env.run("guarded")
        .args(&["--path", &recipe])
        .tiers("install")
        .expect(Inconclusive)
        .says("the sandbox's ingress leaves out what the labels ask for: the middleware")
        .step("http", Unver)
        .gap("sandbox")
        .nothing_left();
}

/// Each rule is a route of one Caddy, chosen by a header, and gets each recorded request.
fn caddy_takes_the_requests_that_traefik_takes(env: &TestEnv<'_>) {
    let recordings = fs::read_to_string("oracles/traefik/recordings.json").unwrap();
    let recordings: Value = serde_json::from_str(&recordings).unwrap();
    let requests = recordings["requests"].as_array().unwrap();
    let mut rules: BTreeMap<String, (Value, String)> = BTreeMap::new();
    for answer in recordings["rules"].as_array().unwrap() {
        for (syntax, key) in [(Syntax::V2, "v2"), (Syntax::V3, "v3")] {
            let text = answer["rule"].as_str().unwrap();
            let Ok(rule) = Rule::parse(text, syntax) else { continue };
            let mut without = Vec::new();
            let set = matcher_set(rule.root(), &mut without);
            if without.is_empty() {
                rules.insert(format!("{key} {text}"), (set, answer[key].as_str().unwrap().to_owned()));
            }
        }
    }
    // Every fifth: all of them take half a minute.
    let rules: Vec<(String, (Value, String))> = rules.into_iter().step_by(5).collect();
    let (container, address) = caddy(env, rules.iter().map(|(_, (set, _))| set));

    let mut differences = Vec::new();
    let mut compared = 0;
    for (number, (rule, (_, wanted))) in rules.iter().enumerate() {
        for (request, taken) in requests.iter().zip(wanted.chars()) {
            let host = request["host"].as_str().unwrap();
            // Browsers and HTTP libraries send hosts in lower case, and names of the zone have no dot at their end.
            if host != host.to_ascii_lowercase() || host.ends_with('.') {
                continue;
            }
            compared += 1;
            let takes = status(&address, number, request) == 204;
            if takes != (taken == '1') {
                differences.push(format!("{rule}: traefik {taken}, caddy {takes}, {request}"));
            }
        }
    }
    let removed = env.fixture.engine.ok(&["rm", "-f", &container]);

    assert!(differences.is_empty(), "{} of {compared} differ:\n{}", differences.len(), differences.join("\n"));
    assert!(compared > 3000 && removed, "{compared}");
}

/// A Caddy with a route for each matcher, behind the header `X-Rule` with the matcher's number.
fn caddy<'a>(env: &TestEnv<'_>, sets: impl Iterator<Item = &'a Value>) -> (String, String) {
    let answer = |status: u16| json!([{ "handler": "static_response", "status_code": status.to_string() }]);
    let route = |(number, set): (usize, &Value)| {
        let chosen = json!({ "header": { "X-Rule": [number.to_string()] } });
        json!({ "match": [chosen], "terminal": true, "handle": [{ "handler": "subroute", "routes": [
            { "match": [set], "handle": answer(204), "terminal": true },
            { "handle": answer(404) },
        ] }] })
    };
    let routes: Vec<Value> = sets.enumerate().map(route).collect();
    let server = json!({ "listen": [":8080"], "automatic_https": { "disable": true }, "routes": routes });
    let config = json!({ "admin": { "disabled": true }, "apps": { "http": { "servers": { "s": server } } } });
    let file = env.path().join("caddy.json");
    fs::write(&file, config.to_string()).unwrap();
    let engine = &env.fixture.engine;
    let mount = format!("{}:/caddy.json:ro", file.display());
    let caddy = sandbox::images::caddy();
    let container = engine.ask(&[
        "run",
        "--detach",
        "--publish",
        "127.0.0.1::8080",
        "--tmpfs",
        "/data",
        "--env",
        "HOME=/data",
        "--volume",
        &mount,
        &caddy,
        "caddy",
        "run",
        "--config",
        "/caddy.json",
    ]);
    let container = container.trim().to_owned();
    let address = engine.ask(&["port", &container, "8080/tcp"]).lines().next().unwrap().trim().to_owned();
    until("Caddy answers", || status_of(&address, "GET / HTTP/1.0\r\nHost: a\r\n\r\n").is_some());
    (container, address)
}

/// The status with which a route answers a recorded request.
fn status(address: &str, number: usize, request: &Value) -> u16 {
    let text = |key: &str| request[key].as_str().unwrap();
    let encode = |c: char| if " {}".contains(c) { format!("%{:02X}", u32::from(c)) } else { c.to_string() };
    let path: String = text("path").chars().map(encode).collect();
    let query = Some(text("query")).filter(|query| !query.is_empty()).map(|query| format!("?{query}")).unwrap_or_default();
    let headers = request["headers"].as_array().unwrap().iter();
    let headers: String =
        headers.map(|pair| format!("{}: {}\r\n", pair[0].as_str().unwrap(), pair[1].as_str().unwrap())).collect();
    let head =
        format!("{} {path}{query} HTTP/1.0\r\nHost: {}\r\nX-Rule: {number}\r\n{headers}\r\n", text("method"), text("host"));
    status_of(address, &head).unwrap_or_else(|| panic!("no answer to {head:?}"))
}

fn status_of(address: &str, head: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(head.as_bytes()).ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    // The rest is read, so that the connection closes in order.
    reader.read_to_end(&mut Vec::new()).ok()?;
    line.split(' ').nth(1)?.parse().ok()
}
