use super::*;

const POLL: Duration = Duration::from_millis(60);
const SECOND: Duration = Duration::from_secs(1);

fn claim(what: Claimed) -> Claim {
    Claim::new("20261121-101502-k3v7q2m7".parse().unwrap(), "swarm1".parse().unwrap(), what)
}

fn stack() -> Claim {
    claim(Claimed::Stack { name: "shop".parse().unwrap() })
}

fn snapshots() -> Claim {
    claim(Claimed::Snapshots { app: "shop.test".parse().unwrap(), service: "backup_app".parse().unwrap() })
}

fn volume() -> Removal {
    use crate::model::object::ObjectKind;
    Removal { object: ObjectId { kind: ObjectKind::Volume, id: "v".into() }, name: "shop_data".into() }
}

fn left(why: Why) -> Left {
    Left { claimed: stack().what().clone(), what: "volume shop_data".into(), why }
}

fn nothing() -> CleanupPlan {
    CleanupPlan { clean: true, ..CleanupPlan::default() }
}

fn removing() -> CleanupPlan {
    CleanupPlan { remove: vec![(stack(), volume())], ..CleanupPlan::default() }
}

fn forgetting() -> CleanupPlan {
    CleanupPlan { snapshots: vec![snapshots()], ..CleanupPlan::default() }
}

fn blocked() -> CleanupPlan {
    CleanupPlan { blocked: vec![left(Why::UsedBy { holders: vec!["container x".into()] })], ..CleanupPlan::default() }
}

fn silent() -> Observed {
    Observed::NoAnswer(SwarmError::Failed { call: "inventory".into(), message: "gone".into() })
}

fn removed(refusal: Option<&str>) -> Vec<Removed> {
    vec![Removed { what: volume().to_string(), object: Some(volume().object), refusal: refusal.map(str::to_owned) }]
}

fn at(seconds: u64) -> Mono {
    Mono(seconds * 1000)
}

/// A cleanup that started at time zero.
struct Cleanup<'a> {
    progress: Progress<'a>,
}

impl<'a> Cleanup<'a> {
    fn of(claims: &'a [Claim], pace: Pace) -> Self {
        Self { progress: Progress::new(claims, pace, at(0)) }
    }

    /// The next thing to do after an observation at this second.
    fn observe(&mut self, second: u64, observed: Observed) -> NextAction {
        self.progress.next(at(second), at(second), observed)
    }

    fn plan(&mut self, second: u64, plan: CleanupPlan) -> NextAction {
        self.observe(second, Observed::Plan(plan))
    }

    /// The report of a cleanup that ends with this observation.
    fn report(&mut self, second: u64, plan: CleanupPlan) -> CleanupReport {
        match self.plan(second, plan) {
            NextAction::Done(Ok(report)) => report,
            next => panic!("it does not end: {next:?}"),
        }
    }
}

#[test]
fn two_empty_inventories_in_a_row_end_a_cleanup() {
    let claims = [stack()];
    let mut cleanup = Cleanup::of(&claims, Pace::default());
    assert_eq!(cleanup.plan(0, nothing()), NextAction::Wait(POLL));
    let report = cleanup.report(1, nothing());
    assert!(report.clean());
    assert_eq!(report.released, [stack().what().clone()].into());
    assert_eq!((report.observations, report.took), (2, SECOND));
}

#[test]
fn empty_observation_before_another_object_does_not_count() {
    let claims = [stack()];
    let mut cleanup = Cleanup::of(&claims, Pace::default());
    assert_eq!(cleanup.plan(0, nothing()), NextAction::Wait(POLL));
    assert!(matches!(cleanup.plan(1, removing()), NextAction::Act(_)));
    assert_eq!(cleanup.plan(2, nothing()), NextAction::Wait(POLL), "the first one after the removal");
    assert!(cleanup.report(3, nothing()).clean());
}

#[test]
fn first_removal_is_followed_by_an_observation_at_once_and_a_repeated_one_by_a_pause() {
    let claims = [stack()];
    let mut cleanup = Cleanup::of(&claims, Pace::default());
    assert!(matches!(cleanup.plan(0, removing()), NextAction::Act(actions) if actions.remove.len() == 1));
    assert_eq!(cleanup.progress.performed(removed(None), Vec::new()), Duration::ZERO);
    assert!(matches!(cleanup.plan(1, removing()), NextAction::Act(_)), "it is still listed");
    assert_eq!(cleanup.progress.performed(removed(None), Vec::new()), POLL);
    cleanup.plan(2, nothing());
    let report = cleanup.report(3, nothing());
    assert_eq!(report.removed, ["volume shop_data"]);
    assert_eq!(report.touched, [volume().object].into());
}

#[test]
fn cleanup_that_others_block_ends_after_its_patience() {
    let claims = [stack()];
    let mut cleanup = Cleanup::of(&claims, Pace::default());
    assert_eq!(cleanup.plan(0, blocked()), NextAction::Wait(POLL));
    assert_eq!(cleanup.plan(4, blocked()), NextAction::Wait(POLL));
    let report = cleanup.report(5, blocked());
    assert_eq!((report.leaked, report.released.len()), (blocked().blocked, 0));
}

#[test]
fn patience_with_others_begins_when_nothing_else_is_left() {
    let claims = [stack()];
    let waiting = CleanupPlan { waiting: vec![left(Why::TaskEnding)], ..blocked() };
    let mut cleanup = Cleanup::of(&claims, Pace::default());
    assert_eq!(cleanup.plan(0, waiting), NextAction::Wait(POLL));
    assert_eq!(cleanup.plan(5, blocked()), NextAction::Wait(POLL));
    assert!(!cleanup.report(10, blocked()).clean());
}

#[test]
fn refused_removal_is_tried_again_and_its_message_is_reported() {
    let claims = [stack()];
    let mut cleanup = Cleanup::of(&claims, Pace { budget: SECOND * 10, ..Pace::default() });
    for second in 0..3 {
        assert!(matches!(cleanup.plan(second, removing()), NextAction::Act(_)));
        assert_eq!(cleanup.progress.performed(removed(Some("volume is in use")), Vec::new()), POLL);
    }
    let report = cleanup.report(10, removing());
    assert_eq!(report.leaked, [left(Why::Refused { message: "volume is in use".into() })]);
    assert!(report.removed.is_empty() && report.touched.len() == 1);
}

#[test]
fn object_that_was_never_refused_is_out_of_time_at_the_end_of_the_budget() {
    let claims = [stack()];
    let mut cleanup = Cleanup::of(&claims, Pace { budget: SECOND * 10, ..Pace::default() });
    assert_eq!(cleanup.report(10, removing()).leaked, [left(Why::OutOfTime)]);
}

#[test]
fn engine_that_never_answers_fails_the_cleanup_at_the_end_of_the_budget() {
    let claims = [stack()];
    let mut cleanup = Cleanup::of(&claims, Pace { budget: SECOND * 10, ..Pace::default() });
    assert_eq!(cleanup.observe(0, silent()), NextAction::Wait(POLL));
    assert!(matches!(cleanup.observe(10, silent()), NextAction::Done(Err(_))));
}

#[test]
fn engine_that_stops_answering_leaves_the_last_observation_as_the_result() {
    let claims = [stack()];
    let mut cleanup = Cleanup::of(&claims, Pace { budget: SECOND * 10, ..Pace::default() });
    assert!(matches!(cleanup.plan(0, removing()), NextAction::Act(_)));
    let NextAction::Done(Ok(report)) = cleanup.observe(10, silent()) else { panic!("the budget is used up") };
    assert_eq!(report.leaked, [left(Why::OutOfTime)]);
}

#[test]
fn missing_answer_between_empty_inventories_starts_the_count_again() {
    let claims = [stack()];
    let mut cleanup = Cleanup::of(&claims, Pace::default());
    assert_eq!(cleanup.plan(0, nothing()), NextAction::Wait(POLL));
    assert_eq!(cleanup.observe(1, silent()), NextAction::Wait(POLL));
    assert_eq!(cleanup.plan(2, nothing()), NextAction::Wait(POLL));
    assert!(cleanup.report(3, nothing()).clean());
}

#[test]
fn settle_time_is_waited_out_slowly_and_counts_from_the_first_answer() {
    let claims = [stack()];
    let mut cleanup = Cleanup::of(&claims, Pace { settle: IN_FLIGHT, ..Pace::default() });
    assert_eq!(cleanup.observe(0, silent()), NextAction::Wait(POLL));
    assert_eq!(cleanup.plan(10, nothing()), NextAction::Wait(POLL));
    assert_eq!(cleanup.plan(11, nothing()), NextAction::Wait(SETTLE_POLL));
    assert_eq!(cleanup.plan(31, nothing()), NextAction::Wait(SETTLE_POLL), "21 s after the first answer");
    assert_eq!(cleanup.report(32, nothing()).released.len(), 1);
}

#[test]
fn nothing_is_released_before_the_settle_time_is_over() {
    let claims = [stack()];
    let pace = Pace { settle: IN_FLIGHT, budget: SECOND * 10, ..Pace::default() };
    let mut cleanup = Cleanup::of(&claims, pace);
    cleanup.plan(0, nothing());
    assert_eq!(cleanup.report(10, nothing()).released.len(), 0);
}

#[test]
fn snapshots_are_forgotten_once_the_app_is_gone() {
    let claims = [stack(), snapshots()];
    let app_there = CleanupPlan { remove: removing().remove, ..forgetting() };
    let mut cleanup = Cleanup::of(&claims, Pace::default());
    assert!(matches!(cleanup.plan(0, app_there), NextAction::Act(actions) if actions.snapshots.is_empty()));
    assert!(matches!(cleanup.plan(1, forgetting()), NextAction::Act(actions) if actions.snapshots == [snapshots()]));
    let gone = Forgotten::Listed { before: 2, left: Vec::new() };
    assert_eq!(cleanup.progress.performed(Vec::new(), vec![(snapshots(), gone)]), POLL);
    assert_eq!(cleanup.progress.snapshots()[&"shop.test".parse().unwrap()], Vec::<String>::new());
    cleanup.plan(2, nothing());
    let report = cleanup.report(3, nothing());
    assert_eq!((report.removed.len(), report.released.len()), (1, 2));
}

#[test]
fn snapshots_that_cannot_be_listed_stay_claimed() {
    let claims = [stack(), snapshots()];
    let mut cleanup = Cleanup::of(&claims, Pace::default());
    assert!(matches!(cleanup.plan(0, forgetting()), NextAction::Act(_)));
    cleanup.progress.performed(Vec::new(), vec![(snapshots(), Forgotten::Unlisted("no service".into()))]);
    cleanup.plan(1, nothing());
    let report = cleanup.report(2, nothing());
    assert_eq!(report.released, [stack().what().clone()].into());
    assert_eq!(report.living, ["snapshots of shop.test cannot be listed: no service"]);
    assert!(!report.clean());
}

#[test]
fn refused_claim_does_not_keep_the_others_from_being_released() {
    let claims = [stack(), snapshots()];
    let refused = || CleanupPlan { refused: vec![left(Why::Flawed { flaw: "odd".into() })], ..CleanupPlan::default() };
    let mut cleanup = Cleanup::of(&claims, Pace::default());
    assert_eq!(cleanup.plan(0, refused()), NextAction::Wait(POLL));
    let report = cleanup.report(1, refused());
    assert_eq!((report.leaked.len(), report.released), (1, [snapshots().what().clone()].into()));
}
