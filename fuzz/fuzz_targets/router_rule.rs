//! Rules of Traefik's routers.
#![no_main]

use formats::traefik::rule::Rule;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(readings) = Rule::readings(text) {
        for rule in readings {
            let _ = (rule.hosts(), rule.may_take_host("app.example.org"));
        }
    }
});
