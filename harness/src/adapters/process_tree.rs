//! Who belongs to a child: its group and session, its descendants, and those that left both but bear its mark.

use std::{collections::BTreeSet, io, time::Duration};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::time::{Instant, sleep};

use crate::adapters::proc::{Process, environment, table, with_descendants};

/// How long the end of a killed tree is waited for. The kernel needs a few milliseconds.
pub(in crate::adapters) const CHILD_EXIT_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause between two looks at whether somebody is left.
const AGAIN: Duration = Duration::from_millis(5);

/// A child that leads a session and a group of its own, and all that came from it.
#[derive(Debug)]
pub(in crate::adapters) struct ProcessTree {
    leader: i32,
    /// What stands in the environment of all that did not clean it: `NAME=value`.
    mark: String,
    known: BTreeSet<(i32, u64)>,
}

impl ProcessTree {
    pub(in crate::adapters) fn new(leader: i32, mark: String) -> Self {
        Self { leader, mark, known: BTreeSet::new() }
    }

    /// Those that live now, the leader included as long as it lives.
    fn living(&mut self) -> io::Result<Vec<Process>> {
        let all: Vec<Process> = table()?.into_iter().filter(|process| !process.ended).collect();
        let marked: BTreeSet<i32> = all.iter().map(|process| process.pid).filter(|pid| self.bears_mark(*pid)).collect();
        let members = members(&all, self.leader, &self.known, &marked);
        self.known.extend(members.iter().map(|process| (process.pid, process.start_ticks)));
        Ok(members)
    }

    fn bears_mark(&self, pid: i32) -> bool {
        environment(pid).split(|byte| *byte == 0).any(|entry| entry == self.mark.as_bytes())
    }

    /// Sends `signal` to the group and to every member outside of it. Says whether anybody was alive, as far as that can be known: when
    /// the table of processes cannot be read, somebody may be.
    pub(in crate::adapters) fn signal(&mut self, signal: Signal) -> bool {
        let Ok(living) = self.living() else { return true };
        // The group's id stays taken as long as it has a member, so this cannot hit strangers while one lives.
        if let Some(group) = Pid::from_raw(self.leader).filter(|_| living.iter().any(|process| process.group == self.leader)) {
            let _ = kill_process_group(group, signal);
        }
        for pid in living.iter().filter(|process| process.group != self.leader).filter_map(|process| Pid::from_raw(process.pid)) {
            let _ = kill_process(pid, signal);
        }
        !living.is_empty()
    }

    /// Kills until nobody is left, and says whether nobody is: one that the kernel keeps does not end when it is told to. `reap` takes the
    /// leader's exit status, so that it does not count as alive.
    pub(in crate::adapters) async fn kill_all(&mut self, mut reap: impl FnMut()) -> bool {
        let until = Instant::now() + CHILD_EXIT_TIMEOUT;
        while self.signal(Signal::KILL) {
            if Instant::now() > until {
                return false;
            }
            sleep(AGAIN).await;
            reap();
        }
        true
    }

    /// Kills until nobody is left, where nothing can be awaited any more.
    pub(in crate::adapters) fn kill_all_blocking(&mut self) {
        // The system's clock, for the runtime's may stand still.
        let began = std::time::Instant::now();
        while self.signal(Signal::KILL) && began.elapsed() < CHILD_EXIT_TIMEOUT {
            std::thread::sleep(AGAIN);
        }
    }
}

/// The members among `all`: group, session, marked or known ones, and whoever descends from one of these. Pure.
fn members(all: &[Process], leader: i32, known: &BTreeSet<(i32, u64)>, marked: &BTreeSet<i32>) -> Vec<Process> {
    let own = |process: &Process| {
        process.pid == leader
            || process.group == leader
            || process.session == leader
            || marked.contains(&process.pid)
            || known.contains(&(process.pid, process.start_ticks))
    };
    let found = with_descendants(all, all.iter().filter(|process| own(process)).map(|process| process.pid).collect());
    all.iter().filter(|process| found.contains(&process.pid)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32, group: i32, session: i32) -> Process {
        Process { pid, ended: false, parent, group, session, start_ticks: 7 }
    }

    #[test]
    fn a_family_is_more_than_a_group() {
        let all = [
            process(1, 0, 1, 1),
            process(10, 1, 10, 10),  // the leader
            process(11, 10, 10, 10), // in its group
            process(12, 11, 12, 10), // job control: another group of the session
            process(13, 12, 13, 13), // setsid, its parent still lives
            process(14, 13, 13, 13), // child of that
            process(15, 1, 15, 15),  // marked orphan
            process(16, 1, 16, 16),  // orphan that was seen before
            process(17, 1, 17, 17),  // a stranger with the id of one that was seen before
            process(20, 1, 20, 20),  // a stranger
        ];
        let known = BTreeSet::from([(16, 7), (17, 3)]);
        let pids: Vec<i32> = members(&all, 10, &known, &BTreeSet::from([15])).iter().map(|process| process.pid).collect();
        assert_eq!(pids, [10, 11, 12, 13, 14, 15, 16]);
    }
}
