//! Ends the children of a run that outlived it, with all processes that they started.

use std::{collections::BTreeSet, io, time::Duration};

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process};

use super::proc::{Process, environment, table, with_descendants};
use crate::ports::{Child, ChildError, Children};

/// The pause between two readings of the table of processes.
const POLL: Duration = Duration::from_millis(20);

/// The machine's own processes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Processes;

#[async_trait]
impl Children for Processes {
    async fn end(&self, child: &Child, timeout: Duration) -> Result<(), ChildError> {
        let until = tokio::time::Instant::now() + timeout;
        loop {
            // A child may start another process at any time, so only an empty reading ends the loop.
            let table = readable(table())?;
            let living = living(&table, child, |pid| belongs(pid, child));
            let Some(first) = living.first() else {
                return match is_unproved(&table, child) {
                    true => Err(ChildError::Unproved { pid: child.pid, doing: child.doing.clone() }),
                    false => Ok(()),
                };
            };
            if tokio::time::Instant::now() >= until {
                return Err(ChildError::LivesOn { pid: *first, doing: child.doing.clone() });
            }
            for pid in living.iter().filter_map(|pid| Pid::from_raw(*pid)) {
                // A process that has ended meanwhile is fine. The next reading finds one that cannot be killed.
                let _ = kill_process(pid, Signal::KILL);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// The living processes of `child`: the child, its group, its session, processes for which `belongs` holds, and the descendants
/// of all these.
///
/// Anybody can read the id and the start of a process and write them into a journal, so they prove nothing alone: the group and
/// the session of the child count when `belongs` holds for one of their processes. After the end of the child its id may belong
/// to another process or to the session of a daemon. Then only the processes for which `belongs` holds count.
fn living(table: &[Process], child: &Child, belongs: impl Fn(i32) -> bool) -> BTreeSet<i32> {
    let near = |row: &Process| row.pid == child.pid || row.group == child.pid || row.session == child.pid;
    let later = |row: &Process| row.start_ticks >= child.start_ticks;
    let marked: BTreeSet<i32> = table.iter().filter(|row| later(row) && belongs(row.pid)).map(|row| row.pid).collect();
    let known = table.iter().any(|row| is(row, child)) && table.iter().any(|row| near(row) && marked.contains(&row.pid));
    let of_child = |row: &&Process| later(row) && (near(row) && known || marked.contains(&row.pid));
    let mut tree = with_descendants(table, table.iter().filter(of_child).map(|row| row.pid).collect());
    tree.retain(|pid| table.iter().any(|row| row.pid == *pid && !row.ended));
    tree
}

/// Whether a process is the child by its id and its start.
fn is(row: &Process, child: &Child) -> bool {
    row.pid == child.pid && row.start_ticks == child.start_ticks
}

/// Whether a process lives that is the child by its id and its start, and does not belong to the run by its environment.
fn is_unproved(table: &[Process], child: &Child) -> bool {
    table.iter().any(|row| is(row, child) && !row.ended)
}

/// Whether the environment of `pid` marks it as a child of the run, see [`marks`]. This process never counts, also when an
/// operator has set the same variables in its shell.
fn belongs(pid: i32, child: &Child) -> bool {
    let own = i32::try_from(std::process::id()).is_ok_and(|own| own == pid);
    !own && marks(&environment(pid), child.run.as_str())
}

/// The variables that name a path in the run's folder to a child.
const MARKS: [&[u8]; 2] = [b"ABRA_DIR=", super::spawn::MARK];

/// Whether one of the variables that only children of a run have names a path in the folder of `run`. Other variables, such as
/// `PWD` of an operator's shell, do not count.
fn marks(environment: &[u8], run: &str) -> bool {
    let place = |entry| MARKS.iter().find_map(|mark| <[u8]>::strip_prefix(entry, *mark));
    let inside = |place: &[u8]| place.split(|byte| *byte == b'/').any(|part| part == run.as_bytes());
    environment.split(|byte| *byte == 0).filter_map(place).any(inside)
}

fn readable(table: io::Result<Vec<Process>>) -> Result<Vec<Process>, ChildError> {
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
    fn living_processes_of_a_child_exclude_reused_ids() {
        let processes = [process(10, 1, 10, 100), process(11, 10, 10, 101), process(12, 11, 12, 102), process(20, 1, 20, 50)];
        let none = |_| false;
        for (what, table, child, marked, expected) in [
            ("its session, and what left that session", processes.to_vec(), child(10, 100), 10, vec![10, 11, 12]),
            ("its session, by another process of it", processes.to_vec(), child(10, 100), 11, vec![10, 11, 12]),
            ("a process of others with the id and the start that a journal names", processes.to_vec(), child(10, 100), 0, vec![]),
            ("another process has its id", processes.to_vec(), child(10, 99), 0, vec![]),
            ("it has ended, and its session is that of a daemon", vec![process(11, 1, 10, 101)], child(10, 100), 0, vec![]),
        ] {
            let living = living(&table, &child, |pid| pid == marked);
            assert_eq!(living.into_iter().collect::<Vec<_>>(), expected, "{what}");
        }
        assert!(is_unproved(&processes, &child(10, 100)) && !is_unproved(&processes, &child(10, 99)));
        let orphan = [process(11, 1, 10, 101), process(12, 1, 10, 99), process(13, 1, 13, 102), process(14, 13, 14, 103)];
        let ours = living(&orphan, &child(10, 100), |pid| pid != 14);
        let why = "a mark identifies processes outside the session; a process older than the child does not belong to it";
        assert_eq!(ours.into_iter().collect::<Vec<_>>(), [11, 13, 14], "{why}");
        let stranger = [process(10, 1, 10, 200), process(15, 1, 15, 201)];
        let ours = living(&stranger, &child(10, 100), |pid| pid == 15);
        assert_eq!(ours.into_iter().collect::<Vec<_>>(), [15], "another process has the leader's id");
        let zombie = [Process { ended: true, ..process(10, 1, 10, 100) }];
        assert!(living(&zombie, &child(10, 100), none).is_empty());
    }

    #[test]
    fn only_variables_of_children_mark_a_process_as_the_runs() {
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
    async fn child_ends_with_all_processes_that_it_started() {
        use std::os::unix::process::CommandExt;
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "sleep 600 & setsid sleep 601 & wait"]).process_group(0);
        shell.env("ABRA_DIR", "/state/runs/20261121-101502-k3v7q2m7/abra");
        let mut started = shell.spawn().unwrap();
        let pid = i32::try_from(started.id()).unwrap();
        let ended = child(pid, start_ticks(pid).unwrap());
        let living_now = || living(&table().unwrap(), &ended, |pid| belongs(pid, &ended));
        let until = std::time::Instant::now() + Duration::from_secs(10);
        while living_now().len() < 3 && std::time::Instant::now() < until {
            tokio::time::sleep(POLL).await;
        }
        let all = living_now();
        assert_eq!(all.len(), 3);
        let other = Child { start_ticks: u64::MAX, ..ended.clone() };
        Processes.end(&other, Duration::from_secs(1)).await.unwrap();
        assert_eq!(living_now(), all, "a child with another start is another child");
        let forged = Child { run: "20261121-101502-aebagbaf".parse().unwrap(), ..ended.clone() };
        let refused = Processes.end(&forged, Duration::from_secs(1)).await;
        assert!(matches!(refused, Err(ChildError::Unproved { .. })), "{refused:?}");
        assert_eq!(living_now(), all, "the journal of another run names it");
        Processes.end(&ended, Duration::from_secs(10)).await.unwrap();
        let rows = table().unwrap();
        assert!(!rows.iter().any(|row| all.contains(&row.pid) && !row.ended));
        started.wait().unwrap();
    }
}
