//! Tests on an app that another run keeps.

use std::{collections::BTreeMap, sync::Arc};

use harness::{
    adapters::{clock::SystemClock, folder::Folder},
    engine::{self, facts::attached::KeptAppFacts, log::Log},
    journal::Journal,
    model::{
        object::ObjectKind,
        outcome::{Subject, Tier},
        request::Source,
        tested_app::Images,
    },
    ports::RunFolder,
    pure::{
        host::inventory::CleanupResult,
        run::{
            state::RunState,
            verdict::{VerdictOutcome, verdict},
        },
    },
    redact::Redact,
};
use unit_tests::{
    event_log::{head, pack, request},
    sim_host::SimHost,
    sim_inventory::object,
};

use super::crash::paused;

/// A host on which the app is deployed, with an `.env` file of another app.
fn host_with_kept_app() -> SimHost {
    let mut host = SimHost::healthy().with_pack(pack(), &[]);
    host.machine.env_files = BTreeMap::from([("shop.example.org.env".into(), "TYPE=shop".into())]);
    let (stack, service) = (head().stack.to_string(), format!("{}_app", head().stack));
    host.put(object(ObjectKind::Service, &service, Some(&stack)));
    host
}

/// Runs the custom tests on the app that is there.
fn attach(host: &SimHost) -> RunState {
    paused(async {
        let runs = tempfile::tempdir().unwrap();
        let folder = Folder::of(runs.path(), &"20261121-101502-bbbbbbbb".parse().unwrap());
        let journal = Journal::create(folder.root(), folder.run().clone(), Arc::new(SystemClock::start())).unwrap();
        let log = Log::new(journal, Arc::new(Redact::new()), Vec::new());
        let ports = host.ports();
        let run = host.new_run(request(&[Tier::Custom]), &ports, &log, &folder);
        let source = Source::Catalogue { at: None };
        let (tools, images) = (BTreeMap::new(), Images::default());
        let attached = KeptAppFacts { head: head(), runs: Some(Subject::Head), source, tools, images };
        engine::attach(&attached, run).await
    })
}

#[test]
fn tests_on_a_kept_app_change_nothing_on_the_host() {
    let host = host_with_kept_app();
    let before = host.objects();

    let state = attach(&host);

    assert_eq!(verdict(&state).outcome, VerdictOutcome::Green, "{:?}", verdict(&state).reasons);
    assert_eq!(state.cleanup_result, Some(CleanupResult::default()));
    assert_eq!(host.objects(), before);
    assert!(host.files().is_empty(), "{:?}", host.files());
}
