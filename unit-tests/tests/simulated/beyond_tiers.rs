//! The steps of `--thorough` and `--disaster`: plans, and whole simulated runs.

use std::{collections::BTreeSet, time::Duration};

use harness::{
    model::{
        host::Limits,
        outcome::{Status, Tier},
        pack::DatabaseKind,
        request::{Extent, Request},
    },
    pure::{
        recipe::{
            canary::{Canary, Moment, into_service},
            compose::{Entry, Env, Tree, resolve},
            upgrade_base::Base,
        },
        run::{
            facts::BaseFiles,
            plan::{Plan, Planned, Step, plan, step_ids},
            verdict::VerdictOutcome,
        },
    },
    report::repeat::repeat,
};
use unit_tests::{
    event_log::{EventLog, facts, request},
    sim_data::{RestoreBehaviour, SimData},
    sim_host::{CallBehaviour, HostBehaviour, SimHost},
};

use super::sim_run::{FinishedRun, run_on};

const RESTORED: &[Tier] = &[Tier::Install, Tier::Backup, Tier::Restore];
const DISASTER: Extent = Extent { disaster: true, thorough: false, no_canaries: false };
const THOROUGH: Extent = Extent { disaster: false, thorough: true, no_canaries: false };
const NO_CANARIES: Extent = Extent { disaster: false, thorough: false, no_canaries: true };

/// The files of a recipe with a volume, a secret, a backup label and these lines more in its `.env.sample`.
fn tree(sample: &str) -> Tree {
    let compose = r#"version: "3.8"
services:
  app:
    image: bb:1
    volumes: ["posts:/data"]
    secrets: [token]
    deploy:
      labels: ["backupbot.backup=true"]
volumes:
  posts:
secrets:
  token:
    external: true
    name: ${STACK_NAME}_token_${SECRET_TOKEN_VERSION}
"#;
    let sample = format!("TYPE=hello\nDOMAIN=hello.example.com\nSECRET_TOKEN_VERSION=v1\n{sample}");
    [("compose.yml", compose), (".env.sample", sample.as_str())]
        .map(|(path, text)| (path.to_owned(), Entry::Text(text.to_owned())))
        .into_iter()
        .collect()
}

fn asking(tiers: &[Tier], extent: Extent) -> Request {
    Request { extent, ..request(tiers) }
}

fn host(behaviour: HostBehaviour, sample: &str) -> SimHost {
    let mut host = SimHost::behaving(behaviour);
    host.tree = tree(sample);
    host
}

fn status(run: &FinishedRun, step: &str) -> Status {
    run.results.step(step).unwrap_or_else(|| panic!("no step {step}")).status
}

fn planned(tiers: &[Tier], extent: Extent, sample: &str) -> Plan {
    plan(&asking(tiers, extent), &facts(tree(sample)), &Limits::default()).unwrap()
}

fn ids(plan: &Plan, wanted: impl Fn(&Planned) -> bool) -> Vec<&str> {
    plan.steps.iter().filter(|planned| wanted(planned)).map(|planned| planned.id.0.as_str()).collect()
}

/// Asserts that each of these steps waits for the one before it, directly or through other steps.
#[track_caller]
fn assert_chain(plan: &Plan, chain: &[&str]) {
    fn comes_after(plan: &Plan, step: &str, before: &str) -> bool {
        let planned = plan.steps.iter().find(|planned| planned.id.0 == step).unwrap_or_else(|| panic!("no step {step}"));
        planned.after.iter().any(|id| id.0 == before || comes_after(plan, &id.0, before))
    }
    for pair in chain.windows(2) {
        assert!(comes_after(plan, pair[1], pair[0]), "{} after {} in {:#?}", pair[1], pair[0], plan.steps);
    }
}

#[test]
fn no_step_beyond_the_tiers_is_planned_by_default() {
    let plan = planned(RESTORED, Extent::default(), "");
    let extra = ids(&plan, |planned| matches!(planned.step, Step::Remove { .. } | Step::Restart | Step::PostDeploy { .. }));
    assert!(extra.is_empty(), "{extra:?}");
}

#[test]
fn disaster_comes_last_and_the_snapshot_is_kept_for_it() {
    let both = Extent { thorough: true, ..DISASTER };
    let plan = planned(RESTORED, both, "");
    let chain = ["check-restore", "redeploy", "restart", "reinstall", "disaster", "renew", "deploy-disaster", "restore-disaster"];
    assert_chain(&plan, &chain);
    assert_chain(&plan, &["restore-disaster", "check-disaster", "forget-snapshot", "cleanup"]);
    assert_chain(&plan, &["stable-disaster", "undeploy"]);
    assert!(ids(&planned(&[Tier::Install], DISASTER, ""), |planned| planned.step == Step::Renew).is_empty());
}

#[test]
fn canaries_are_seeded_for_each_check_of_them() {
    for (tiers, extent, seeds) in [
        (&[Tier::Install][..], Extent::default(), false),
        (&[Tier::Install], THOROUGH, true),
        (RESTORED, Extent::default(), true),
        (RESTORED, NO_CANARIES, false),
        (&[Tier::Install], Extent { no_canaries: true, ..THOROUGH }, false),
    ] {
        let plan = planned(tiers, extent, "");
        let found = ids(&plan, |planned| matches!(planned.step, Step::Seed | Step::Corrupt));
        assert_eq!(!found.is_empty(), seeds, "{extent:?}");
    }
    assert_chain(&planned(&[Tier::Install], THOROUGH, ""), &["seed", "combinations", "redeploy"]);
}

#[test]
fn each_planned_step_has_a_known_name_and_waits_for_steps_of_its_plan() {
    let extents = [Extent::default(), DISASTER, THOROUGH, NO_CANARIES, Extent { thorough: true, ..DISASTER }];
    let tier_sets: Vec<Vec<Tier>> = (0..1_usize << Tier::ALL.len())
        .map(|bits| Tier::ALL.into_iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, tier)| tier).collect())
        .collect();
    let mut seen = BTreeSet::new();
    for (tiers, extent) in tier_sets.iter().flat_map(|tiers| extents.map(|extent| (tiers, extent))) {
        for (keep, upgrades) in [(None, false), (Some(Duration::from_secs(60)), true)] {
            let mut request = asking(tiers, extent);
            request.authoring.keep = keep;
            let mut facts = facts(tree("POST_DEPLOY_CMDS=\"app migrate\"\nPOST_UPGRADE_CMDS=\"app migrate\"\n"));
            facts.pack.hooks.configure = true;
            if upgrades {
                facts.against = Base::Ref { name: "main".into(), commit: "f".repeat(40).parse().unwrap(), why: "it is".into() };
                facts.base = facts.against.clone();
                let (tree, resolved) = (facts.tree.clone(), facts.resolved.clone());
                facts.base_files = Some(BaseFiles { tree, resolved, pinned: true, repair: None });
            }
            let plan = plan(&request, &facts, &Limits::default()).unwrap();
            let waits_for_known = |planned: &Planned| planned.after.iter().all(|id| plan.step(id).is_some());
            assert!(plan.steps.iter().all(waits_for_known), "{:#?}", plan.steps);
            seen.extend(plan.steps.iter().map(|planned| planned.id.0.clone()));
        }
    }
    assert_eq!(seen, step_ids::ALL.iter().map(|id| (*id).to_owned()).collect());
}

#[test]
fn commands_of_the_env_are_steps_only_where_it_names_some() {
    let commands = "POST_DEPLOY_CMDS=\"app migrate\"\n";
    for (sample, extent, found) in [
        ("", THOROUGH, &[][..]),
        ("POST_DEPLOY_CMDS=\"\"\n", THOROUGH, &[]),
        ("#POST_DEPLOY_CMDS=\"app migrate\"\n", THOROUGH, &[]),
        (commands, Extent::default(), &["post-deploy"]),
        (commands, Extent { thorough: true, ..DISASTER }, &["post-deploy", "post-reinstall", "post-disaster"]),
    ] {
        let plan = planned(RESTORED, extent, sample);
        assert_eq!(ids(&plan, |planned| matches!(planned.step, Step::PostDeploy { .. })), found, "{sample}");
    }
    assert_chain(&planned(RESTORED, THOROUGH, commands), &["deploy", "post-deploy", "http"]);
}

#[test]
fn repeat_command_has_the_same_extent() {
    for (extent, flags) in [
        (Extent::default(), ""),
        (Extent { disaster: true, thorough: true, no_canaries: false }, " --disaster --thorough"),
        (NO_CANARIES, " --no-canaries"),
    ] {
        let mut log = EventLog::begun(&[Tier::Install]);
        if let harness::pure::run::event::Kind::RunStarted { request, .. } = &mut log.events[0].kind {
            request.extent = extent;
        }
        assert_eq!(repeat(&log.state()), format!("taster --recipe hello --tiers install{flags}"));
    }
}

#[test]
fn repeat_command_names_a_chosen_base() {
    let mut log = EventLog::begun(&[Tier::Install, Tier::Upgrade]);
    if let harness::pure::run::event::Kind::RunStarted { request, .. } = &mut log.events[0].kind {
        request.base = Some("1.0.0+1.0".into());
    }

    assert_eq!(repeat(&log.state()), "taster --recipe hello --base 1.0.0+1.0 --tiers install,upgrade");
}

#[test]
fn lost_data_comes_back_into_a_new_app_with_its_secrets() {
    let host = host(HostBehaviour::WORKING, "");
    let run = run_on(host.clone()).with_backup_service().request(asking(RESTORED, DISASTER)).finish();
    let seen = &run.results.canaries[0].seen;
    assert_eq!(seen.get(&Moment::AfterDisaster).map(|seen| seen.status), Some(Status::Pass));
    assert_eq!(run.results.deploys, 2);
    assert!(run.results.disaster_ms.is_some() && run.results.repeat.ends_with(" --disaster"));
    let secrets: Vec<String> = host.app_actions().into_iter().filter(|line| line.starts_with("secret")).collect();
    assert_eq!(secrets, ["secrets", "secret token v1"], "they are made once and inserted again with the same values");
    assert!(host.data.ids().is_empty(), "{:?}", host.data.ids());
    run.expect(VerdictOutcome::Green).nothing_leaked();
}

#[test]
fn disaster_without_restored_data_is_red() {
    let mut host = host(HostBehaviour::WORKING, "");
    host.data = std::sync::Arc::new(SimData::restoring(RestoreBehaviour::WorksOnce));
    let run = run_on(host).with_backup_service().request(asking(RESTORED, DISASTER)).finish();
    assert_eq!((status(&run, "check-restore"), status(&run, "check-disaster")), (Status::Pass, Status::Fail));
    assert_eq!(run.results.disaster_ms, None);
    run.expect(VerdictOutcome::Red).reason("a file in volume posts is gone").nothing_leaked();
}

#[test]
fn app_that_passes_all_thorough_steps_is_green() {
    let run = run_on(host(HostBehaviour::WORKING, "")).with_backup_service().request(asking(&[Tier::Install], THOROUGH)).finish();
    for step in
        ["combinations", "redeploy", "restart", "check-restart", "remove", "reinstall", "http-reinstall", "check-reinstall"]
    {
        assert_eq!(status(&run, step), Status::Pass, "{step}");
    }
    let seen: Vec<&str> = run.results.canaries[0].seen.keys().map(|moment| moment.name()).collect();
    assert_eq!(seen, ["seeded", "after-restart", "after-reinstall"]);
    assert_eq!(run.results.deploys, 2);
    run.expect(VerdictOutcome::Green).nothing_leaked();
}

#[test]
fn failure_of_a_thorough_step_counts_for_the_verdict() {
    let restless = HostBehaviour { redeploy_replaces_tasks: true, ..HostBehaviour::WORKING };
    let run = run_on(host(restless, "")).with_backup_service().request(asking(&[Tier::Install], THOROUGH)).finish();
    assert_eq!(status(&run, "restart"), Status::Pass, "the other steps still run");
    run.expect(VerdictOutcome::Red)
        .reason("app: a second deploy of the same files and settings replaced its task")
        .nothing_leaked();

    let stuck = HostBehaviour { restart: CallBehaviour::Fails, ..HostBehaviour::WORKING };
    let run = run_on(host(stuck, "")).with_backup_service().request(asking(&[Tier::Install], THOROUGH)).finish();
    run.expect(VerdictOutcome::Inconclusive)
        .reason("what --thorough adds is not verified: a task of app still runs from before")
        .nothing_leaked();

    let mut broken = host(HostBehaviour::WORKING, "#COMPOSE_FILE=compose.yml:compose.gone.yml\n");
    broken.tree = broken.tree.with("compose.odd.yml", Entry::Text("services: 3\n".into()));
    let run = run_on(broken).with_backup_service().request(asking(&[Tier::Install], THOROUGH)).finish();
    for list in ["compose.yml:compose.gone.yml", "compose.yml:compose.odd.yml"] {
        assert!(run.reason.contains(list), "{}", run.reason);
    }
    run.expect(VerdictOutcome::Red).reason("not every combination of the recipe's compose files can be read").nothing_leaked();
}

#[test]
fn restore_without_canaries_is_not_verified() {
    let run = run_on(host(HostBehaviour::WORKING, "")).with_backup_service().request(asking(RESTORED, NO_CANARIES)).finish();
    assert_eq!((status(&run, "restore"), status(&run, "check-restore")), (Status::Pass, Status::Unver));
    assert!(run.results.canaries.is_empty());
    run.expect(VerdictOutcome::Inconclusive).reason("--no-canaries left out what shows that data came back").nothing_leaked();
}

#[test]
fn commands_of_the_env_run_in_order_and_their_failure_is_the_recipes() {
    let sample = "POST_DEPLOY_CMDS=\"app migrate --all|app warm up\"\n";
    let good = host(HostBehaviour::WORKING, sample);
    let run = run_on(good.clone()).with_backup_service().request(asking(&[Tier::Install], Extent::default())).finish();
    let lines: Vec<String> = good.app_actions().into_iter().filter(|line| line.starts_with("app ")).collect();
    assert_eq!(lines, ["app migrate --all", "app warm up"]);
    run.expect(VerdictOutcome::Green).nothing_leaked();

    let bad = host(HostBehaviour { command: CallBehaviour::Fails, ..HostBehaviour::WORKING }, sample);
    let run = run_on(bad.clone()).with_backup_service().request(asking(&[Tier::Install], Extent::default())).finish();
    assert_eq!(
        bad.app_actions().iter().filter(|line| line.starts_with("app ")).count(),
        1,
        "the second one does not run after a failure of the first"
    );
    run.expect(VerdictOutcome::Red).reason("the command `app migrate` of POST_DEPLOY_CMDS failed").nothing_leaked();
}

#[test]
fn canary_is_in_a_service_that_mounts_its_volume_or_is_its_database() {
    let stack = "hello-aebagbaf_taster_test".parse().unwrap();
    let resolved = resolve(&tree(""), &Env::parse("SECRET_TOKEN_VERSION=v1").unwrap(), &stack).unwrap();
    let file = |volume: &str| Canary::File { volume: volume.into(), name: format!("x_{volume}") };
    let row = |service: &str| Canary::Row { service: service.into(), kind: DatabaseKind::Postgres };
    for (canary, service, inside) in [
        (file("posts"), "app", true),
        (file("other"), "app", false),
        (file("posts"), "db", false),
        (row("db"), "db", true),
        (row("db"), "app", false),
        (Canary::Pack { name: "a post".into() }, "app", false),
    ] {
        assert_eq!(!into_service(std::slice::from_ref(&canary), &resolved, service).is_empty(), inside, "{canary} in {service}");
    }
}
