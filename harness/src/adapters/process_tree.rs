//! A child process with all that descends from it: its group and session, its descendants, and the processes that left both but
//! bear its mark.

use std::{collections::BTreeSet, io, time::Duration};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::time::{Instant, sleep};

use super::proc::{Process, environment, table, with_descendants};

/// How long killed processes may take to end. The kernel needs a few milliseconds.
pub(super) const CHILD_EXIT_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause between two readings of the table of processes.
const POLL: Duration = Duration::from_millis(5);

/// A child that leads its own session and group, and all processes that it started.
#[derive(Debug)]
pub(super) struct ProcessTree {
    leader: i32,
    /// An entry `NAME=value` in the environment of each process that did not clear it.
    mark: String,
    /// Process id and start of each member so far, so that an orphan stays a member.
    known: BTreeSet<(i32, u64)>,
}

impl ProcessTree {
    pub(super) fn new(leader: i32, mark: String) -> Self {
        Self { leader, mark, known: BTreeSet::new() }
    }

    /// The living members, the leader included.
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

    /// Sends `signal` to the group and to every member outside of it. Returns whether a member was alive; without a readable
    /// table of processes, one may be.
    pub(super) fn signal(&mut self, signal: Signal) -> bool {
        let Ok(living) = self.living() else { return true };
        // The id of the group stays taken as long as it has a member, so this cannot hit other processes while one lives.
        if let Some(group) = Pid::from_raw(self.leader).filter(|_| living.iter().any(|process| process.group == self.leader)) {
            let _ = kill_process_group(group, signal);
        }
        for pid in living.iter().filter(|process| process.group != self.leader).filter_map(|process| Pid::from_raw(process.pid)) {
            let _ = kill_process(pid, signal);
        }
        !living.is_empty()
    }

    /// Kills until no member is alive and returns whether that is so; a process in an uninterruptible call survives. `reap` takes
    /// the leader's exit status, so that the leader does not count as alive.
    pub(super) async fn kill_all(&mut self, mut reap: impl FnMut()) -> bool {
        let until = Instant::now() + CHILD_EXIT_TIMEOUT;
        while self.signal(Signal::KILL) {
            if Instant::now() > until {
                return false;
            }
            sleep(POLL).await;
            reap();
        }
        true
    }

    /// Kills until no member is alive, for places that cannot await, such as a destructor.
    pub(super) fn kill_all_blocking(&mut self) {
        // The system's clock, because that of the runtime may be paused.
        let began = std::time::Instant::now();
        while self.signal(Signal::KILL) && began.elapsed() < CHILD_EXIT_TIMEOUT {
            std::thread::sleep(POLL);
        }
    }
}

/// The members among `all`: those of the group or session, the marked, the known, and the descendants of these.
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
    fn process_tree_includes_members_outside_its_group() {
        let all = [
            process(1, 0, 1, 1),
            process(10, 1, 10, 10),  // the leader
            process(11, 10, 10, 10), // in its group
            process(12, 11, 12, 10), // job control: another group of the session
            process(13, 12, 13, 13), // setsid, its parent still lives
            process(14, 13, 13, 13), // child of that
            process(15, 1, 15, 15),  // marked orphan
            process(16, 1, 16, 16),  // orphan that is known
            process(17, 1, 17, 17),  // another process with the id of a known one
            process(20, 1, 20, 20),  // another process
        ];
        let known = BTreeSet::from([(16, 7), (17, 3)]);
        let pids: Vec<i32> = members(&all, 10, &known, &BTreeSet::from([15])).iter().map(|process| process.pid).collect();
        assert_eq!(pids, [10, 11, 12, 13, 14, 15, 16]);
    }
}
