//! The resolver of a recipe's compose files: refusals with their place, secrets, skipped keys, and the comparison with running
//! services.

use std::collections::BTreeMap;

use harness::{
    model::names::ServiceName,
    pure::{
        host::converge::{Endpoint, Health, HostPort, Index, Mode, Order, ServiceView, SpecDigest},
        recipe::compose::{Entry, Env, Kernel, Resolved, Tree, compare_with_services, resolve},
    },
};
use proptest::prelude::*;

/// A tree of text files.
fn tree(files: &[(&str, &str)]) -> Tree {
    files.iter().map(|(path, text)| ((*path).to_owned(), Entry::Text((*text).to_owned()))).collect()
}

/// The files resolved as the stack `shop`, or the message of the refusal.
fn resolved(files: &[(&str, &str)], env: &str) -> Result<Resolved, String> {
    resolve(&tree(files), &Env::parse(env).unwrap(), &"shop".parse().unwrap()).map_err(|error| error.to_string())
}

/// The same for a single compose file, without its version.
fn resolved_file(compose: &str) -> Result<Resolved, String> {
    resolved(&[("compose.yml", &format!("version: \"3.8\"\n{compose}"))], "")
}

/// `resolved` for a file whose service `app` has this key, or the message of the refusal.
fn result_of_key(body: &str) -> String {
    resolved_file(&format!("services:\n  app:\n    image: a\n    {body}\n")).map_or_else(|error| error, |_| "resolved".to_owned())
}

#[test]
fn invalid_key_of_service_is_refused_with_its_place() {
    for (body, message) in [
        ("bogus: 1", "compose.yml:5:12: services.app.bogus is not a key of the compose format"),
        ("mem_limit: 1", "compose.yml:5:16: services.app.mem_limit is forbidden in stacks"),
        ("environment: {A: true}", "compose.yml:5:22: services.app.environment.A must be a text, a number or nothing"),
        (
            "stop_grace_period: 2x",
            "compose.yml:5:24: services.app.stop_grace_period must be a duration such as 90s or 1m30s, as text",
        ),
        ("user: 5", "compose.yml:5:11: services.app.user must be a text"),
        ("networks: [gone]", "service app uses the network gone, which no compose file declares"),
        ("volumes: [\"gone:/x\"]", "service app uses the volume gone, which no compose file declares"),
        ("secrets: [gone]", "service app uses the secret gone, which no compose file declares"),
        ("configs: [gone]", "service app uses the config gone, which no compose file declares"),
        (
            "ports: [\"x\"]",
            "compose.yml:5:13: services.app.ports[0] must be a port such as 8080:80, 8080:80/udp or 8000-8001:80-81",
        ),
        ("volumes: [\"aa:/b:ro:more\"]", "compose.yml:5:15: services.app.volumes[0] must be a mount with at most two colons"),
        (
            "healthcheck: {disable: true, test: [a]}",
            "compose.yml:5:18: services.app.healthcheck cannot have both disable and a test",
        ),
        (
            "deploy: {mode: global, replicas: 2}",
            "compose.yml:5:20: services.app.deploy.mode cannot have both replicas and a global mode",
        ),
        ("env_file: gone.env", "services.app.env_file names the file gone.env, which the recipe does not have at this commit"),
        (
            "user: \"${A\"",
            "compose.yml:5:11: services.app.user has an invalid variable in \"${A\"; a `$` that is meant as such is written `$$`",
        ),
        ("user: \"${A:?say who}\"", "compose.yml:5:11: services.app.user needs the variable A: say who"),
        (
            "privileged: \"${A:-perhaps}\"",
            "compose.yml:5:17: services.app.privileged is \"perhaps\" after its variables were filled in, and must be yes or no",
        ),
        // Only a value with a variable is cast.
        ("privileged: \"yes\"", "compose.yml:5:17: services.app.privileged must be true or false"),
        ("init: \"${A:-yes}\"", "compose.yml:5:11: services.app.init must be true or false"),
        ("stop_grace_period: \"${A:-2m}\"", "resolved"),
        ("privileged: \"${A:-yes}\"", "resolved"),
    ] {
        assert_eq!(result_of_key(body), message, "{body}");
    }
}

#[test]
fn invalid_file_is_refused_with_its_name() {
    const SERVICE: &str = "services: {app: {image: a}}";
    let v = |version: &str, rest: &str| format!("version: \"{version}\"\n{rest}");
    for (files, env, message) in [
        (vec![], "", "COMPOSE_FILE names compose.yml, which the recipe does not have at this commit"),
        (
            vec![("compose.yml", v("3.8", SERVICE))],
            "COMPOSE_FILE=compose.yml:sub/compose.x.yml",
            "COMPOSE_FILE names sub/compose.x.yml, which the recipe does not have at this commit",
        ),
        (vec![("a", v("3.8", SERVICE))], "COMPOSE_FILE=../a", "COMPOSE_FILE names ../a, which is outside the recipe's folder"),
        (vec![("a/b", v("3.8", SERVICE))], "COMPOSE_FILE=a", "a is not a text file in UTF-8"),
        (
            vec![("a", v("3.8", SERVICE)), ("b", v("3.7", SERVICE))],
            "COMPOSE_FILE=a:b",
            "b declares version 3.7 of the compose format, the first file 3.8; all files must declare the same",
        ),
        (
            vec![("a", v("3.8", SERVICE)), ("b", SERVICE.to_owned())],
            "COMPOSE_FILE=a:b",
            "b declares version 3.13 of the compose format, the first file 3.8; all files must declare the same",
        ),
        (
            vec![("compose.yml", v("3.99", SERVICE))],
            "",
            "compose.yml declares version 3.99 of the compose format, which Docker does not know for stacks",
        ),
        (vec![("compose.yml", "version: 3.8".into())], "", "compose.yml:1:10: version must be a text, in quotes"),
        (vec![("compose.yml", "- a".into())], "", "compose.yml:1:1: compose.yml must be an object at its top"),
        (vec![("compose.yml", v("3.8", "services: {app: {}}"))], "", "service app has no image"),
        (vec![("compose.yml", v("3.8", "servces: {}"))], "", "compose.yml:2:10: servces is not a key of the compose format"),
        (
            vec![("compose.yml", v("3.8", "services: {}\nconfigs: {c: {file: gone}}"))],
            "",
            "configs.c.file names the file gone, which the recipe does not have at this commit",
        ),
        (
            vec![("compose.yml", v("3.8", "services: {}\nvolumes: {v: {external: true, driver: x}}"))],
            "",
            "compose.yml:3:14: volumes.v cannot have both external and driver",
        ),
        (
            vec![("compose.yml", v("3.8", "services: {app: {image: \"a b\"}}"))],
            "",
            "service app: \"a b\" is not a valid image reference: printable characters without blanks",
        ),
        (
            vec![("compose.yml", v("3.8", "services: {app: {image: a, env_file: e}}")), ("e", "A=1\nB C=2\n".into())],
            "",
            "e:2: \"B C=2\" is not a variable",
        ),
    ] {
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        assert_eq!(resolved(&files, env).map(|_| ()), Err(message.to_owned()));
    }
}

#[test]
fn invalid_yaml_is_refused_with_its_place() {
    let broken = resolved(&[("compose.yml", "a: [")], "").unwrap_err();
    let doubled = resolved(&[("compose.yml", "a: 1\na: 2")], "").unwrap_err();

    assert!(broken.starts_with("compose.yml:") && broken.contains("is not valid YAML"), "{broken}");
    assert!(doubled.contains("compose.yml:2:1 is not valid YAML"), "{doubled}");
}

#[test]
fn deep_or_exploding_file_is_refused() {
    let deep = format!("a: {}{}", "[".repeat(5_000), "]".repeat(5_000));
    let mut nested = String::from("a0: &a0 [[[[[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]]]]]\n");
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        nested += &format!("a{level}: &a{level} [[[[[[[[[[[[[[[[[[[[*a{}]]]]]]]]]]]]]]]]]]]]\n", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 10].join(", "));
    }
    for (text, message) in [
        (deep, "compose.yml:1:103 is not clear: nested deeper than 100 levels"),
        (nested, "is not clear: nested deeper than 100 levels"),
        (bomb, "document contains excessive aliasing"),
    ] {
        let error = resolved(&[("compose.yml", &text)], "").unwrap_err();

        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn link_is_followed_within_the_recipe_only() {
    let compose = "version: \"3.8\"\nservices: {app: {image: a}}\n";
    let entry = |path: &str, entry: Entry| (path.to_owned(), entry);
    let resolve_with_link = |target: &str| {
        let entries = [entry("real/compose.yml", Entry::Text(compose.into())), entry("compose.yml", Entry::Link(target.into()))];
        resolve(&Tree::from_iter(entries), &Env::default(), &"shop".parse().unwrap())
            .map(|_| ())
            .map_err(|error| error.to_string())
    };

    assert_eq!(resolve_with_link("real/compose.yml"), Ok(()));
    assert_eq!(resolve_with_link("./real/../real/compose.yml"), Ok(()));
    for target in ["/etc/passwd", "../compose.yml", "real/../../x"] {
        assert_eq!(
            resolve_with_link(target).unwrap_err(),
            "COMPOSE_FILE names compose.yml, which is outside the recipe's folder"
        );
    }
    assert!(resolve_with_link("compose.yml").unwrap_err().contains("does not have"), "a link to itself names no file");
}

#[test]
fn exports_of_abra_sh_override_the_env() {
    let compose = "version: \"3.8\"\nservices: {app: {image: \"$A/$B/$C/$STACK_NAME\"}}\n";
    let script = "#!/bin/bash\nexport A=v4\nexport B=\"v2\" # why\n  export C=no\nfn() { export C=no; }\n";

    let ours = resolved(&[("compose.yml", compose), ("abra.sh", script)], "A=env\nB=env\nC=env\n").unwrap();

    assert_eq!(ours.services["app"].image.as_str(), "v4/v2/env/shop");
}

#[test]
fn used_secrets_are_listed_with_version_and_modifiers() {
    let compose = "version: \"3.8\"\nservices: {app: {image: a, secrets: [db, key]}}\nsecrets:\n  \
                   db: {external: true, name: \"${STACK_NAME}_db_${SECRET_DB_VERSION}\"}\n  \
                   key: {external: true, name: \"${STACK_NAME}_key_v3\"}\n  \
                   unused: {external: true, name: \"${STACK_NAME}_unused_${SECRET_UNUSED_VERSION}\"}\n";
    let env = "SECRET_DB_VERSION=v2 # length=32 charset=hex generate=false\nSECRET_UNUSED_VERSION=v1\nSECRET_OTHER_VERSION=v9\n";

    let secrets = resolved(&[("compose.yml", compose)], env).unwrap().secrets().unwrap();
    let without = resolved(&[("compose.yml", compose)], "").unwrap().secrets().unwrap_err();

    let listed: Vec<_> = secrets
        .iter()
        .map(|secret| (secret.name.as_str(), secret.version.as_str(), secret.full_name.as_str(), secret.modifiers.length))
        .collect();
    assert_eq!(listed, [("db", "v2", "shop_db_v2", Some(32)), ("key", "v3", "shop_key_v3", None)]);
    assert!(!secrets[0].modifiers.generate && secrets[1].modifiers.generate);
    assert_eq!(without.to_string(), "the secret db has no version: its name \"shop_db_\" ends without one");
}

#[test]
fn keys_outside_the_model_are_listed_as_skipped() {
    let ours = resolved_file(
        "x-top: 1\nservices: {app: {image: a, sysctls: [a=b], x-own: 1, deploy: {rollback_config: {order: stop-first}, \
         restart_policy: {window: 1s}}, ports: [{target: 1}], logging: {options: {a: b}}}}\nvolumes: {v: {x-cluster-spec: {}}}",
    )
    .unwrap();

    let skipped: Vec<&str> = ours.skipped.iter().map(|skipped| skipped.path.as_str()).collect();
    assert_eq!(
        skipped,
        [
            "services.app.deploy.restart_policy.window",
            "services.app.deploy.rollback_config",
            "services.app.logging.options",
            "services.app.sysctls",
            "services.app.x-own",
            "volumes.v.x-cluster-spec",
            "x-top",
        ]
    );
}

const APP: &str = "services: {app: {image: nginx, ports: [\"8080:80\"], healthcheck: {test: [a]}, deploy: {replicas: 2, \
                    update_config: {order: start-first}, labels: {own: 1, coop-cloud.shop.version: 1}}}}";

/// The service `app` as it runs, with the labels that docker and abra add.
fn running(ours: &Resolved) -> BTreeMap<ServiceName, ServiceView> {
    let service = &ours.services["app"];
    let mut labels = service.labels.clone();
    labels.insert("coop-cloud.shop.version".into(), "2".into());
    labels.insert("com.docker.stack.image".into(), "nginx".into());
    let view = ServiceView {
        index: Index(1),
        spec: SpecDigest(String::new()),
        image: "docker.io/library/nginx:latest@sha256:00".parse().unwrap(),
        mode: service.mode,
        update: None,
        roll: service.roll,
        restart: service.restart,
        health: service.health,
        host_ports: Vec::new(),
        endpoint: Endpoint::Vip,
        labels,
        tasks: Vec::new(),
    };
    [(service.name.clone(), view)].into()
}

#[test]
fn labels_of_docker_and_abra_are_no_difference() {
    let ours = resolved_file(APP).unwrap();

    let differences = compare_with_services(&ours, &running(&ours), Kernel::Ipvs);

    assert_eq!(differences, []);
}

#[test]
fn missing_change_for_kernel_without_ipvs_is_a_difference() {
    let ours = resolved_file(APP).unwrap();
    let mut live = running(&ours);
    let fields = |live: &BTreeMap<ServiceName, ServiceView>| -> Vec<String> {
        compare_with_services(&ours, live, Kernel::NoIpvs).into_iter().map(|difference| difference.field).collect()
    };

    assert_eq!(fields(&live), ["endpoint", "update", "host ports"]);

    for view in live.values_mut() {
        view.endpoint = Endpoint::Dnsrr;
        view.roll.order = Order::StopFirst;
        view.host_ports = vec![HostPort { port: 8080, protocol: "tcp".into() }];
    }

    assert_eq!(fields(&live), [""; 0]);
    assert_eq!(compare_with_services(&ours, &live, Kernel::Ipvs).len(), 3, "with IPVS the change is a difference");
}

/// The field that differs, and the change of the running service.
type Change = (&'static str, fn(&mut ServiceView));

#[test]
fn every_change_of_running_service_is_found() {
    let ours = resolved_file(APP).unwrap();
    let changes: [Change; 6] = [
        ("image", |view| view.image = "nginx:1.29".parse().unwrap()),
        ("mode", |view| view.mode = Mode::Replicated { replicas: 1 }),
        ("health", |view| view.health = Health::Absent),
        ("update", |view| view.roll.parallelism = 7),
        ("restart", |view| view.restart.max_attempts = 1),
        ("label own", |view| drop(view.labels.remove("own"))),
    ];
    for (field, change) in changes {
        let mut live = running(&ours);
        live.values_mut().for_each(change);

        let found: Vec<String> =
            compare_with_services(&ours, &live, Kernel::Ipvs).into_iter().map(|difference| difference.field).collect();

        assert_eq!(found, [field]);
    }
}

#[test]
fn absent_and_additional_services_are_differences() {
    let ours = resolved_file(APP).unwrap();
    let mut live = running(&ours);
    let (_, view) = live.pop_first().unwrap();
    live.insert("shop_old".parse().unwrap(), view);

    let differences: Vec<String> = compare_with_services(&ours, &live, Kernel::Ipvs).iter().map(ToString::to_string).collect();

    assert_eq!(
        differences,
        ["service of app is absent, and by its files there", "service of old is there, and by its files absent"]
    );
}

#[test]
fn budgets_of_service_follow_from_its_files() {
    let ours = resolved_file(
        "services: {app: {image: a, healthcheck: {test: [a], interval: 10s, timeout: 5s, retries: 3, start_period: 1m}, \
                    deploy: {replicas: 4, update_config: {parallelism: 2, delay: 5s}}}}",
    )
    .unwrap();

    let service = &ours.services["app"];

    assert_eq!(service.allowance().as_secs(), 60 + 4 * 15);
    assert_eq!(service.roll_budget(4).as_secs(), 2 * (120 + 5) + 6);
}

proptest! {
    #[test]
    fn any_text_is_resolved_or_refused(text in ".{0,200}|(version: \"3.8\"\nservices: \\{app: \\{)[a-z:,\\[\\]{}\"$ -]{0,60}") {
        let _ = resolved(&[("compose.yml", &text)], "");
    }

    #[test]
    fn any_value_of_any_key_is_resolved_or_refused(
        key in "[a-z_]{2,12}|ports|volumes|deploy|environment|healthcheck",
        value in "[a-z0-9:/,\\[\\]{} $-]{0,30}",
    ) {
        let _ = resolved_file(&format!("services: {{app: {{image: a, {key}: {value}}}}}"));
    }
}
