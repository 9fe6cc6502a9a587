//! Ending what a run's children have become.

use std::{collections::BTreeSet, io, time::Duration};

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process};

use super::proc::{Process, environment, table, with_descendants};
use crate::ports::{Child, ChildError, Children};

/// How long it takes between two looks at the table of processes.
const POLL: Duration = Duration::from_millis(20);

/// The machine's own processes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Processes;

#[async_trait]
impl Children for Processes {
    async fn end(&self, child: &Child, patience: Duration) -> Result<(), ChildError> {
        let until = tokio::time::Instant::now() + patience;
        loop {
            // It may have started another process since the last look, so it ends with a look that finds none.
            let living = family(&looked(table())?, child, |pid| belongs(pid, child));
            let Some(first) = living.first() else { return Ok(()) };
            if tokio::time::Instant::now() >= until {
                return Err(ChildError::LivesOn { pid: *first, doing: child.doing.clone() });
            }
            for pid in living.iter().filter_map(|pid| Pid::from_raw(*pid)) {
                // One that is gone by now is what was wanted; one that cannot be killed is found by the next look.
                let _ = kill_process(pid, Signal::KILL);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// The living processes of `child`: itself, its group, its session, whatever `belongs` knows as the run's wherever it went, and all
/// that these started.
///
/// When the child itself is gone its id may be somebody else's by now, or the id of a daemon's session. Then only those count that
/// `belongs` knows.
fn family(table: &[Process], child: &Child, belongs: impl Fn(i32) -> bool) -> BTreeSet<i32> {
    let leader = table.iter().find(|row| row.pid == child.pid);
    let known = leader.is_some_and(|row| row.start_ticks == child.start_ticks);
    let of_child = |row: &&Process| {
        let near = row.pid == child.pid || row.group == child.pid || row.session == child.pid;
        row.start_ticks >= child.start_ticks && (near && known || belongs(row.pid))
    };
    let mut family = with_descendants(table, table.iter().filter(of_child).map(|row| row.pid).collect());
    family.retain(|pid| table.iter().any(|row| row.pid == *pid && !row.ended));
    family
}

/// Whether the environment of `pid` is that of the run's children, see [`marks`]. Whoever asks is none of them, also when somebody
/// who looks into the run's folder by hand has set the same variables.
fn belongs(pid: i32, child: &Child) -> bool {
    let own = i32::try_from(std::process::id()).is_ok_and(|own| own == pid);
    !own && marks(&environment(pid), child.run.as_str())
}

/// The variables that tell a child which folder of the run it works in.
const MARKS: [&[u8]; 2] = [b"ABRA_DIR=", super::launch::MARK];

/// Whether one of the variables that only children of a run have names a place in the folder of `run`. Other variables, such as the
/// working folder of a shell, may name it for people who read what the run wrote.
fn marks(environment: &[u8], run: &str) -> bool {
    let place = |entry| MARKS.iter().find_map(|mark| <[u8]>::strip_prefix(entry, *mark));
    let inside = |place: &[u8]| place.split(|byte| *byte == b'/').any(|part| part == run.as_bytes());
    environment.split(|byte| *byte == 0).filter_map(place).any(inside)
}

fn looked(table: io::Result<Vec<Process>>) -> Result<Vec<Process>, ChildError> {
    table.map_err(|error| ChildError::Unreadable { message: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::{super::proc::start_ticks, *};

    fn child(pid: i32, start_ticks: u64) -> Child {
        Child { run: "20261121-101502-k3v7q2m7".parse().unwrap(), pid, start_ticks, doing: "abra".into() }
    }

    fn process(pid: i32, parent: i32, session: i32, start_ticks: u64) -> Process {
        Process { pid, ended: false, parent, group: session, session, start_ticks }
    }

    #[test]
    fn the_family_of_a_child() {
        let living = [process(10, 1, 10, 100), process(11, 10, 10, 101), process(12, 11, 12, 102), process(20, 1, 20, 50)];
        let none = |_| false;
        for (what, table, asked, expected) in [
            ("its session, and what left that session", living.to_vec(), child(10, 100), vec![10, 11, 12]),
            ("its id is another process's by now", living.to_vec(), child(10, 99), vec![]),
            ("it is gone, and what has its session is a daemon's", vec![process(11, 1, 10, 101)], child(10, 100), vec![]),
        ] {
            assert_eq!(family(&table, &asked, none).into_iter().collect::<Vec<_>>(), expected, "{what}");
        }
        let orphan = [process(11, 1, 10, 101), process(12, 1, 10, 99), process(13, 1, 13, 102), process(14, 13, 14, 103)];
        let ours = family(&orphan, &child(10, 100), |pid| pid != 14);
        let why = "what left the session is known by its mark; one that is older than the child cannot be its own";
        assert_eq!(ours.into_iter().collect::<Vec<_>>(), [11, 13, 14], "{why}");
        let stranger = [process(10, 1, 10, 200), process(15, 1, 15, 201)];
        let ours = family(&stranger, &child(10, 100), |pid| pid == 15);
        assert_eq!(ours.into_iter().collect::<Vec<_>>(), [15], "the leader's id is somebody else's by now");
        let zombie = [Process { ended: true, ..process(10, 1, 10, 100) }];
        assert!(family(&zombie, &child(10, 100), none).is_empty());
    }

    #[test]
    fn only_what_works_in_the_runs_folder_bears_its_mark() {
        let run = "20261121-101502-k3v7q2m7";
        for (environment, marked) in [
            ("HOME=/root\0ABRA_DIR=/state/runs/20261121-101502-k3v7q2m7/abra\0", true),
            ("TASTER_CONTEXT=/state/runs/20261121-101502-k3v7q2m7/abra/pack/1.json\0A=b\0", true),
            ("PWD=/state/runs/20261121-101502-k3v7q2m7\0OLDPWD=/state/runs/20261121-101502-k3v7q2m7/abra\0", false),
            ("ABRA_DIR=/home/operator/.abra\0RUN=20261121-101502-k3v7q2m7\0", false),
            ("ABRA_DIR=/state/runs/20261121-101502-k3v7q2m7.old/abra\0", false),
            ("MY_ABRA_DIR=/state/runs/20261121-101502-k3v7q2m7/abra\0", false),
            ("", false),
        ] {
            assert_eq!(marks(environment.as_bytes(), run), marked, "{environment:?}");
        }
    }

    #[tokio::test]
    async fn a_child_ends_with_what_it_started() {
        use std::os::unix::process::CommandExt;
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "sleep 600 & setsid sleep 601 & wait"]).process_group(0);
        let mut started = shell.spawn().unwrap();
        let pid = i32::try_from(started.id()).unwrap();
        let ended = child(pid, start_ticks(pid).unwrap());
        let family_now = || family(&table().unwrap(), &ended, |_| false);
        let until = std::time::Instant::now() + Duration::from_secs(10);
        while family_now().len() < 3 && std::time::Instant::now() < until {
            tokio::time::sleep(POLL).await;
        }
        let all = family_now();
        assert_eq!(all.len(), 3);
        let other = Child { start_ticks: ended.start_ticks + 1, ..ended.clone() };
        Processes.end(&other, Duration::from_secs(1)).await.unwrap();
        assert_eq!(family_now(), all, "a child that started later is not this one");
        Processes.end(&ended, Duration::from_secs(10)).await.unwrap();
        let rows = table().unwrap();
        assert!(!rows.iter().any(|row| all.contains(&row.pid) && !row.ended));
        started.wait().unwrap();
    }
}
