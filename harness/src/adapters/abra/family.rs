//! Who belongs to a child: its group and session, its descendants, and those that left both but bear its mark.

use std::{collections::BTreeSet, fs};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// A process as `/proc/<pid>/stat` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    parent: i32,
    group: i32,
    session: i32,
    /// In clock ticks since boot: with the id it names one process for good.
    pub(super) start_ticks: u64,
}

fn read(pid: i32) -> Option<Process> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The second field is the program's name in brackets and may hold anything, brackets and blanks included.
fn parse(pid: i32, stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse().ok();
    match *fields.first()? {
        // What has ended cannot be ended again.
        "Z" | "X" => None,
        _ => Some(Process {
            pid,
            parent: number(1)?,
            group: number(2)?,
            session: number(3)?,
            start_ticks: fields.get(19)?.parse().ok()?,
        }),
    }
}

/// A child that leads a session and a group of its own, and all that came from it.
#[derive(Debug)]
pub(super) struct Family {
    leader: i32,
    /// What stands in the environment of all that did not clean it: `NAME=value`.
    mark: String,
    known: BTreeSet<(i32, u64)>,
}

impl Family {
    pub(super) fn new(leader: i32, mark: String) -> Self {
        Self { leader, mark, known: BTreeSet::new() }
    }

    /// Those that live now, the leader included as long as it lives.
    pub(super) fn living(&mut self) -> Vec<Process> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let all: Vec<Process> = pids.filter_map(read).collect();
        let marked: BTreeSet<i32> = all.iter().map(|process| process.pid).filter(|pid| self.bears_mark(*pid)).collect();
        let members = members(&all, self.leader, &self.known, &marked);
        self.known.extend(members.iter().map(|process| (process.pid, process.start_ticks)));
        members
    }

    fn bears_mark(&self, pid: i32) -> bool {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == self.mark.as_bytes())
    }

    /// Sends `signal` to the group and to every member outside of it. Says whether anybody was alive.
    pub(super) fn signal(&mut self, signal: Signal) -> bool {
        let living = self.living();
        // The group's id stays taken as long as it has a member, so this cannot hit strangers while one lives.
        if let Some(group) = Pid::from_raw(self.leader).filter(|_| living.iter().any(|process| process.group == self.leader)) {
            let _ = kill_process_group(group, signal);
        }
        for pid in living.iter().filter(|process| process.group != self.leader).filter_map(|process| Pid::from_raw(process.pid)) {
            let _ = kill_process(pid, signal);
        }
        !living.is_empty()
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
    let mut found: BTreeSet<i32> = all.iter().filter(|process| own(process)).map(|process| process.pid).collect();
    loop {
        let more: Vec<i32> =
            all.iter().filter(|p| found.contains(&p.parent) && !found.contains(&p.pid)).map(|process| process.pid).collect();
        if more.is_empty() {
            return all.iter().filter(|process| found.contains(&process.pid)).copied().collect();
        }
        found.extend(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32, group: i32, session: i32) -> Process {
        Process { pid, parent, group, session, start_ticks: 7 }
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

    #[test]
    fn names_of_programs_do_not_confuse() {
        let fields = "S 5 6 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        let found = parse(42, &format!("42 (a) b (c) {fields}")).unwrap();
        assert_eq!(found, Process { pid: 42, parent: 5, group: 6, session: 7, start_ticks: 4711 });
        assert_eq!(parse(42, "42 (x) Z 5 6 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4711 0 0"), None);
        assert_eq!(parse(42, "nonsense"), None);
    }
}
