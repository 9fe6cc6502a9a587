//! The facets of a spec: its leaves, each with a name that does not depend on the order of lists.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// The values of a spec by their places.
pub(super) type Facets = BTreeMap<String, String>;

/// Places in a service's spec that give no power, or that the comparison of services covers: image, mode, updates, restarts,
/// endpoint mode and the timing of health checks. Ids of secrets and configs follow from their names, platforms from the image.
const NOT_COMPARED: [&str; 14] = [
    "Name",
    "Mode",
    "UpdateConfig",
    "RollbackConfig",
    "EndpointSpec.Mode",
    "TaskTemplate.RestartPolicy",
    "TaskTemplate.ForceUpdate",
    "TaskTemplate.Placement.Platforms",
    "TaskTemplate.ContainerSpec.Image",
    "TaskTemplate.ContainerSpec.Healthcheck.Interval",
    "TaskTemplate.ContainerSpec.Healthcheck.Timeout",
    "TaskTemplate.ContainerSpec.Healthcheck.StartPeriod",
    "TaskTemplate.ContainerSpec.Healthcheck.Retries",
    "TaskTemplate.ContainerSpec.Healthcheck.StartInterval",
];

/// Values that mean the same as an absent one.
const DEFAULTS: [(&str, &str); 2] = [("TaskTemplate.Runtime", "container"), ("TaskTemplate.ContainerSpec.Isolation", "default")];

/// Lists of objects, each with the place of the text that names an object.
const KEYED: [(&str, &str); 5] = [
    ("TaskTemplate.ContainerSpec.Mounts", "/Target"),
    ("TaskTemplate.ContainerSpec.Secrets", "/File/Name"),
    ("TaskTemplate.ContainerSpec.Configs", "/File/Name"),
    ("TaskTemplate.ContainerSpec.Ulimits", "/Name"),
    ("TaskTemplate.Networks", "/Target"),
];

/// Lists whose order means nothing.
const SETS: [&str; 4] = ["CapabilityAdd", "CapabilityDrop", "Aliases", "Hosts"];

/// The facets of a service's spec. `network` is the name of a network that the spec names.
pub(super) fn service_facets(spec: &Value, network: &dyn Fn(&str) -> String) -> Facets {
    let mut facets = Facets::new();
    add(&mut facets, "", spec, network);
    let short = |(name, value): (String, String)| {
        let name = ["TaskTemplate.ContainerSpec.", "TaskTemplate.", "EndpointSpec."]
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix).map(|rest| (prefix, rest)))
            .map_or(name.clone(), |(prefix, rest)| match *prefix {
                "TaskTemplate.ContainerSpec." if rest.starts_with("Labels") => format!("container {rest}"),
                _ => rest.to_owned(),
            });
        (name, value)
    };
    facets.into_iter().map(short).collect()
}

/// The facets of a network as the engine shows it.
pub(super) fn network_facets(network: &Value) -> Facets {
    let mut facets = Facets::new();
    for (name, value) in network.as_object().into_iter().flatten() {
        match name.as_str() {
            "Driver" | "Internal" | "Attachable" | "Ingress" | "EnableIPv6" if !empty(value) => {
                facets.insert(name.clone(), value.to_string());
            }
            "Options" => {
                let options = value.as_object().into_iter().flatten();
                // The engine notes the number of the tunnel here.
                let options = options.filter(|(key, _)| *key != "com.docker.network.driver.overlay.vxlanid_list");
                facets.extend(options.map(|(key, value)| (format!("Options[{key}]"), value.to_string())));
            }
            _ => {}
        }
    }
    facets
}

fn add(facets: &mut Facets, place: &str, value: &Value, network: &dyn Fn(&str) -> String) {
    let default = DEFAULTS.iter().any(|(at, text)| *at == place && value.as_str() == Some(*text));
    // A network option may be empty and still count; `init: false` is not the engine's default.
    let counts_when_empty = place.ends_with(".Init") || place.contains("DriverOpts.");
    if NOT_COMPARED.contains(&place) || default || value.is_null() || (empty(value) && !counts_when_empty) {
        return;
    }
    match value {
        Value::Object(fields) => add_fields(facets, place, fields, network),
        Value::Array(items) => add_items(facets, place, items, network),
        leaf => drop(facets.insert(place.to_owned(), leaf.to_string())),
    }
}

fn add_fields(facets: &mut Facets, place: &str, fields: &Map<String, Value>, network: &dyn Fn(&str) -> String) {
    for (name, value) in fields {
        let labels = name == "Labels" || place.ends_with("Labels") || place.ends_with("Sysctls") || place.ends_with("Options");
        let place = match (place, labels && !place.is_empty() && name != "Labels") {
            ("", _) => name.clone(),
            (place, true) => format!("{place}[{name}]"),
            (place, false) => format!("{place}.{name}"),
        };
        match place.ends_with("SecretID") || place.ends_with("ConfigID") {
            true => {}
            // An empty label is a label.
            false if labels && value.as_str() == Some("") => drop(facets.insert(place, "\"\"".into())),
            false => add(facets, &place, value, network),
        }
    }
}

fn add_items(facets: &mut Facets, place: &str, items: &[Value], network: &dyn Fn(&str) -> String) {
    if let Some((_, key)) = KEYED.iter().find(|(at, _)| *at == place) {
        for item in items {
            let named = item.pointer(key).and_then(Value::as_str).unwrap_or_default();
            let is_network = place.ends_with("Networks");
            let named = if is_network { network(named) } else { named.to_owned() };
            let mut item = item.clone();
            // The name of the item is part of the place; there is at least this facet.
            let kind = item.get("Type").cloned().unwrap_or(Value::Bool(true));
            if let Some(last) = key.rsplit('/').next().filter(|_| key.matches('/').count() == 1)
                && let Some(fields) = item.as_object_mut()
            {
                fields.remove(last);
            }
            facets.insert(format!("{place}[{named}]"), kind.to_string());
            add(facets, &format!("{place}[{named}]"), &item, network);
        }
        return;
    }
    match place {
        "EndpointSpec.Ports" => {
            for port in items {
                let number = |key: &str| port[key].as_u64().unwrap_or_default();
                let protocol = port["Protocol"].as_str().unwrap_or("tcp");
                let name = format!("{place}[{}:{}/{protocol}]", number("PublishedPort"), number("TargetPort"));
                facets.insert(name, port["PublishMode"].as_str().unwrap_or("ingress").to_owned());
                let known = ["Protocol", "TargetPort", "PublishedPort", "PublishMode"];
                let more = port.as_object().into_iter().flatten().filter(|(key, _)| !known.contains(&key.as_str()));
                facets.extend(more.map(|(key, value)| (format!("{place}.{key}"), value.to_string())));
            }
        }
        "TaskTemplate.ContainerSpec.Env" => {
            for variable in items.iter().filter_map(Value::as_str) {
                let (name, value) = variable.split_once('=').unwrap_or((variable, "unset"));
                facets.insert(format!("{place}[{name}]"), value.to_owned());
            }
        }
        _ => {
            let mut items = items.to_vec();
            if SETS.iter().any(|set| place.ends_with(set)) {
                items.sort_by_key(ToString::to_string);
            }
            facets.insert(place.to_owned(), Value::Array(items).to_string());
        }
    }
}

/// Whether the engine means the same by the value as by its absence.
fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(truth) => !truth,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}
