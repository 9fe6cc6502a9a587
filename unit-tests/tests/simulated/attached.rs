//! Tests on an app that another run keeps.

use std::{collections::BTreeMap, sync::Arc};

use harness::{
    adapters::{clock::SystemClock, folder::Folder},
    engine,
    engine::{facts::attached::Attached, log::Log},
    journal::Journal,
    model::{
        object::ObjectKind,
        outcome::{Subject, Tier},
        request::Source,
    },
    ports::RunFolder,
    pure::{
        host::inventory::CleanupResult,
        run::verdict::{VerdictOutcome, verdict},
    },
    redact::Redact,
};
use unit_tests::{
    event_log::{head, pack, request},
    sim_host::{Manners, SimHost},
    sim_inventory::object,
};

use super::crash::paused;

#[test]
fn tests_on_a_kept_app_leave_it_there_and_report_no_change() {
    let mut host = SimHost::healthy(Manners::default()).with_pack(pack(), Vec::new());
    host.machine.env_files = BTreeMap::from([("shop.example.org.env".into(), "as it was before".into())]);
    let (stack, service) = (head().stack.to_string(), format!("{}_app", head().stack));
    host.put(object(ObjectKind::Service, &service, Some(&stack)));
    let before = host.objects();
    let state = paused(async {
        let runs = tempfile::tempdir().unwrap();
        let folder = Folder::of(runs.path(), &"20261121-101502-bbbbbbbb".parse().unwrap());
        let journal = Journal::create(folder.root(), folder.run().clone(), Arc::new(SystemClock::start())).unwrap();
        let log = Log::new(journal, Arc::new(Redact::new()), Vec::new());
        let ports = host.ports();
        let run = host.undisturbed(request(&[Tier::Custom]), &ports, &log, &folder);
        let source = Source::Catalogue { at: None };
        let attached = Attached { head: head(), runs: Some(Subject::Head), source, tools: BTreeMap::new() };
        engine::attach(&attached, run).await
    });
    assert_eq!(verdict(&state).outcome, VerdictOutcome::Green, "{:?}", verdict(&state).reasons);
    assert_eq!(state.cleanup_result, Some(CleanupResult::default()));
    assert_eq!(host.objects(), before);
    assert!(host.files().is_empty(), "{:?}", host.files());
}
