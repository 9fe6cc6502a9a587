//! Processes of the machine, by `/proc`.

use std::{collections::BTreeSet, fs, io, time::Duration};

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process};

use crate::ports::{Child, ChildError, Children};

/// How long it takes between two looks at the table of processes.
const POLL: Duration = Duration::from_millis(20);

/// The machine's own processes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Processes;

/// A line of the table of processes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    pid: i32,
    state: char,
    parent: i32,
    group: i32,
    session: i32,
    start_ticks: u64,
}

#[async_trait]
impl Children for Processes {
    async fn end(&self, child: &Child, patience: Duration) -> Result<(), ChildError> {
        let until = tokio::time::Instant::now() + patience;
        loop {
            // It may have started another process since the last look, so it ends with a look that finds none.
            let living = family(&table()?, child, |pid| belongs(pid, child));
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

/// When the process `pid` started, in clock ticks since boot: with its id, this names a process for good.
pub fn start_ticks(pid: i32) -> Option<u64> {
    fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(|stat| row(&stat)).map(|row| row.start_ticks)
}

/// The living processes of `child`: itself, its group, its session, and all that these started.
///
/// When the child itself is gone its id may be somebody else's by now, or the id of a daemon's session. Then only those of
/// the group and session count that `belongs` knows as the run's.
fn family(table: &[Row], child: &Child, belongs: impl Fn(i32) -> bool) -> BTreeSet<i32> {
    let leader = table.iter().find(|row| row.pid == child.pid);
    let known = leader.is_some_and(|row| row.start_ticks == child.start_ticks);
    let taken = leader.is_some() && !known;
    let of_child = |row: &&Row| {
        let near = row.pid == child.pid || row.group == child.pid || row.session == child.pid;
        near && !taken && row.start_ticks >= child.start_ticks && (known || belongs(row.pid))
    };
    let mut family: BTreeSet<i32> = table.iter().filter(of_child).map(|row| row.pid).collect();
    loop {
        let more: Vec<i32> = table
            .iter()
            .filter(|row| family.contains(&row.parent))
            .map(|row| row.pid)
            .filter(|pid| !family.contains(pid))
            .collect();
        if more.is_empty() {
            break;
        }
        family.extend(more);
    }
    // A zombie does nothing any more; only its parent can remove it.
    family.retain(|pid| table.iter().any(|row| row.pid == *pid && !matches!(row.state, 'Z' | 'X')));
    family
}

/// Whether the environment of `pid` names the run, as that of each child does by the run's own folder.
fn belongs(pid: i32, child: &Child) -> bool {
    let run = child.run.as_str().as_bytes();
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|text| text.windows(run.len()).any(|part| part == run))
}

fn table() -> Result<Vec<Row>, ChildError> {
    let unreadable = |error: io::Error| ChildError::Unreadable { message: error.to_string() };
    let mut rows = Vec::new();
    for entry in fs::read_dir("/proc").map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        // One that ends while the table is read is simply not in it.
        rows.extend(fs::read_to_string(path.join("stat")).ok().and_then(|stat| row(&stat)));
    }
    Ok(rows)
}

/// A line of `/proc/<pid>/stat` (`proc(5)`). The second field is the program's name in parentheses, which may hold blanks and
/// parentheses itself, so the fields are counted from the last one.
fn row(stat: &str) -> Option<Row> {
    let (head, tail) = stat.rsplit_once(')')?;
    let pid = head.split_once(' ')?.0.parse().ok()?;
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse().ok());
    Some(Row {
        pid,
        state: fields.first()?.chars().next()?,
        parent: number(1)?,
        group: number(2)?,
        session: number(3)?,
        start_ticks: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(pid: i32, start_ticks: u64) -> Child {
        Child { run: "20261121-101502-k3v7q2m7".parse().unwrap(), pid, start_ticks, doing: "abra".into() }
    }

    fn process(pid: i32, parent: i32, session: i32, start_ticks: u64) -> Row {
        Row { pid, state: 'S', parent, group: session, session, start_ticks }
    }

    #[test]
    fn a_line_of_the_table_is_read_whatever_the_program_is_called() {
        let line = "42 (a) b (c) S 7 42 40 34816 42 4194304 100 0 0 0 1 2 0 0 20 0 1 0 123456 8000000 500 18446744073709551615";
        assert_eq!(row(line), Some(Row { pid: 42, state: 'S', parent: 7, group: 42, session: 40, start_ticks: 123_456 }));
        assert_eq!(row("nonsense"), None);
        assert_eq!(row("1 (x) S"), None);
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
        let orphan = [process(11, 1, 10, 101), process(12, 1, 10, 99)];
        let ours = family(&orphan, &child(10, 100), |_| true);
        assert_eq!(ours.into_iter().collect::<Vec<_>>(), [11], "one that is older than the child cannot be its own");
        let zombie = [Row { state: 'Z', ..process(10, 1, 10, 100) }];
        assert!(family(&zombie, &child(10, 100), none).is_empty());
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
        assert!(!rows.iter().any(|row| all.contains(&row.pid) && row.state != 'Z'));
        started.wait().unwrap();
    }
}
