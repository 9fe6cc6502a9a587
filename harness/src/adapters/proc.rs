//! The machine's table of processes, from `/proc`.

use std::{collections::BTreeSet, fs, io};

/// A process of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    /// Whether it has ended and waits for its parent to take its exit status.
    pub(super) ended: bool,
    pub(super) parent: i32,
    pub(super) group: i32,
    pub(super) session: i32,
    /// When it started, in clock ticks since boot. With the id it identifies one process until the next boot.
    pub(super) start_ticks: u64,
}

/// When the process `pid` started, in clock ticks since boot. With the id it identifies one process until the next boot.
pub fn start_ticks(pid: i32) -> Option<u64> {
    read(&format!("/proc/{pid}/stat")).map(|process| process.start_ticks)
}

/// All processes. A process that ends during the reading may be missing.
pub(super) fn table() -> io::Result<Vec<Process>> {
    let mut table = Vec::new();
    for entry in fs::read_dir("/proc")? {
        table.extend(entry?.path().join("stat").to_str().and_then(read));
    }
    Ok(table)
}

/// The environment that a process was started with; empty if it cannot be read.
pub(super) fn environment(pid: i32) -> Vec<u8> {
    fs::read(format!("/proc/{pid}/environ")).unwrap_or_default()
}

/// `found` with all descendants.
pub(super) fn with_descendants(table: &[Process], mut found: BTreeSet<i32>) -> BTreeSet<i32> {
    loop {
        let is_child = |process: &&Process| found.contains(&process.parent) && !found.contains(&process.pid);
        let more: Vec<i32> = table.iter().filter(is_child).map(|process| process.pid).collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

fn read(stat: &str) -> Option<Process> {
    parse(&fs::read_to_string(stat).ok()?)
}

/// Parses a line of `/proc/<pid>/stat` (`proc(5)`). The second field is the program's name in parentheses and may itself hold
/// blanks and parentheses, so the fields count from the last parenthesis.
fn parse(stat: &str) -> Option<Process> {
    let (head, tail) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse().ok());
    Some(Process {
        pid: head.split_once(' ')?.0.parse().ok()?,
        ended: matches!(*fields.first()?, "Z" | "X"),
        parent: number(1)?,
        group: number(2)?,
        session: number(3)?,
        start_ticks: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_line_with_blanks_in_the_name_is_parsed() {
        let fields = "7 42 40 34816 42 4194304 100 0 0 0 1 2 0 0 20 0 1 0 123456 8000000 500";
        let read = Process { pid: 42, ended: false, parent: 7, group: 42, session: 40, start_ticks: 123_456 };
        assert_eq!(parse(&format!("42 (a) b (c) S {fields}")), Some(read));
        assert_eq!(parse(&format!("42 (x) Z {fields}")), Some(Process { ended: true, ..read }));
        assert_eq!(parse("nonsense"), None);
        assert_eq!(parse("1 (x) S"), None);
    }
}
