//! `taster plan --resolved` prints what would be deployed.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::taster::Taster;

/// A recipe with an overlay, in a folder without a repository.
fn recipe(taster: &Taster) -> String {
    let compose = "version: \"3.8\"\nx-base: &base\n  labels: {a: 0120, b: 2e7}\nservices:\n  app:\n    <<: *base\n    image: \
                   nginx:${TAG}\n    ports: [\"80:80\"]\n    env_file: app.env\n    deploy:\n      resources: {limits: {memory: 100M}}\n";
    let over =
        "version: \"3.8\"\nservices:\n  app:\n    user: root # who\n    deploy:\n      resources: {limits: {memory: \"0\"}}\n";
    let sample = "TYPE=shop\nTAG=1.27\nDOMAIN=shop.example.com\nCOMPOSE_FILE=compose.yml:compose.over.yml\n";
    taster.write("shop/compose.over.yml", over);
    taster.write("shop/app.env", "FROM=file\n# no\n");
    taster.write("shop/.env.sample", sample);
    let file = taster.write("shop/compose.yml", compose);
    file.trim_end_matches("/compose.yml").to_owned()
}

#[test]
fn resolved_plan_is_one_compose_file_with_the_place_of_each_value() {
    let taster = Taster::new();
    let folder = recipe(&taster);

    let yaml = taster.stdout_of(&["plan", "--recipe", "shop", "--path", &folder, "--resolved"]);

    assert_snapshot!(yaml, @r#"
    version: "3.8" # compose.yml:1
    services:
      app:
        deploy:
          resources:
            limits:
              memory: "104857600" # compose.yml:11
        env_file:
          - app.env # compose.yml:9
        environment:
          FROM: file # app.env:1
        image: nginx:1.27 # compose.yml:7
        labels:
          a: "80" # compose.yml:3
          b: "2e+07" # compose.yml:3
        ports:
          - mode: ingress # compose.yml:8
            protocol: tcp # compose.yml:8
            published: 80 # compose.yml:8
            target: 80 # compose.yml:8
        user: root # compose.over.yml:4
    x-base:
      labels:
        a: 80 # compose.yml:3
        b: 20000000.0 # compose.yml:3
    "#);
}

#[test]
fn resolved_plan_as_json_has_values_and_places_apart() {
    let taster = Taster::new();
    let folder = recipe(&taster);

    let text = taster.stdout_of(&["plan", "--recipe", "shop", "--path", &folder, "--resolved", "--format", "json"]);

    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["config"]["services"]["app"]["labels"], json!({ "a": "80", "b": "2e+07" }));
    let from = |pointer: &str| document["from"][pointer].as_str().unwrap_or_default().to_owned();
    assert_eq!(from("/services/app/labels/a"), "compose.yml:3");
    assert_eq!(from("/services/app/user"), "compose.over.yml:4");
    assert_eq!(from("/services/app/environment/FROM"), "app.env:1");
    assert_eq!(from("/services/app/ports/0/target"), "compose.yml:8");
}

#[test]
fn format_without_resolved_is_refused() {
    Taster::new().refuses(&["plan", "--recipe", "shop", "--format", "yaml"], 2, &["--resolved"]);
}

#[test]
fn recipe_that_docker_refuses_is_named_with_its_line() {
    let taster = Taster::new();
    let folder = recipe(&taster);
    taster.write("shop/compose.over.yml", "version: \"3.8\"\nservices:\n  app:\n    extra_hosts: [\"a:1\", \"a:1\"]\n");

    let place = "compose.over.yml:4:26: services.app.extra_hosts[1] repeats an earlier entry of the list";
    taster.refuses(&["plan", "--recipe", "shop", "--path", &folder, "--resolved"], 1, &[place]);
}
