//! `taster prune`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use harness::pure::run::verdict::VerdictOutcome;
use harness::{
    adapters::clock::SystemClock,
    journal::{self, LockError, RunLock},
    model::{exit_code::ExitCode, text::with_causes, time::Wall},
    ports::Clock,
    report::terminal::printable,
};
use serde_json::{Value, json};

use crate::{
    env::Env,
    error::CommandError,
    history::{self, Kept},
    output,
    pure::retention::{Decision, Retention, Stored, retention},
};

/// The limits where the command line names none.
const USUAL_KEEP: usize = 100;
const USUAL_BYTES: u64 = 1 << 30;
const USUAL_AGE: Duration = Duration::from_secs(90 * 86_400);

/// Removes the folders of old runs
///
/// The newest runs are kept, as many as the limits allow. Without any limit these apply: --keep 100, --max-size 1G, --older-than
/// 90d. A run that goes on, that keeps its app, or whose claims are not released stays; so do the last green runs of each recipe,
/// with which the next run compares itself. What is removed is gone with its reports and evidence. The exit code is 3 when a
/// folder cannot be removed.
///
/// With --json: {"schema": 1, "dry_run": …, "removed": […], "kept": […], "failed": […], "bytes": …}, each run as {"run_id",
/// "recipe", "bytes", "because"}; `bytes` is the size of what is kept.
#[derive(Debug, clap::Args)]
pub struct Prune {
    /// How many runs are kept
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// The size that is kept, such as `500M` or `2G`
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_size: Option<u64>,
    /// Removes what is older, such as `12h`, `30d` or `8w`
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<Duration>,
    /// Prints what would be removed, and removes nothing
    #[arg(long)]
    dry_run: bool,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// A run's folder with what became of it.
struct Pruned {
    stored: Stored,
    decision: Decision,
    /// Why it could not be removed.
    failure: Option<String>,
}

impl Prune {
    /// Runs the command.
    pub fn run(self, env: &Env) -> Result<process::ExitCode, CommandError> {
        let kept = history::newest_first(&env.runs())?;
        let stored: Vec<Stored> = kept.iter().map(stored).collect();
        let unlimited = self.keep.is_none() && self.max_size.is_none() && self.older_than.is_none();
        let limits = Retention {
            keep: self.keep.or(unlimited.then_some(USUAL_KEEP)),
            max_bytes: self.max_size.or(unlimited.then_some(USUAL_BYTES)),
        };
        let age = self.older_than.or(unlimited.then_some(USUAL_AGE));
        let oldest = age.map(|age| before(SystemClock::start().wall(), age).stamp());
        let decisions = retention(&stored, limits, oldest.as_deref());
        let pruned: Vec<Pruned> = kept
            .iter()
            .zip(stored)
            .zip(decisions)
            .map(|((kept, stored), decision)| self.carry_out(kept, stored, decision))
            .collect();
        output::print(&if self.json { document(&pruned, self.dry_run) } else { lines(&pruned, self.dry_run) })?;
        let failed = pruned.iter().any(|pruned| pruned.failure.is_some());
        Ok(if failed { ExitCode::Inconclusive } else { ExitCode::Green }.into())
    }

    fn carry_out(&self, kept: &Kept, stored: Stored, decision: Decision) -> Pruned {
        match decision {
            Decision::Removed(_) if !self.dry_run => match remove(&kept.folder) {
                Ok(None) => Pruned { stored, decision, failure: None },
                // Something has begun to use the run since its folder was read.
                Ok(Some(held)) => Pruned { stored, decision: Decision::Kept(held), failure: None },
                Err(error) => Pruned { stored, decision, failure: Some(error.to_string()) },
            },
            decision => Pruned { stored, decision, failure: None },
        }
    }
}

fn before(now: Wall, age: Duration) -> Wall {
    let millis = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    Wall::from_millis(now.millis().saturating_sub(millis).max(0))
}

/// What the folder of a run says about it. A run whose results cannot be read is not green.
fn stored(kept: &Kept) -> Stored {
    let last = history::last(kept).ok().flatten();
    let green = last.as_ref().map(|last| &last.verdict).filter(|verdict| verdict.outcome == VerdictOutcome::Green);
    let green = green.map(|verdict| verdict.tiers.iter().map(|tier| tier.name().to_owned()).collect());
    Stored {
        run: kept.run.clone(),
        recipe: history::recipe(kept).or_else(|| last.map(|last| last.recipe)),
        green,
        bytes: size_of(&kept.folder),
        held: held(&kept.folder),
    }
}

/// Why the folder must not be removed.
fn held(folder: &Path) -> Option<String> {
    if RunLock::held(folder) {
        return Some("the run goes on, or is being cleaned up".to_owned());
    }
    match journal::settled(folder) {
        Ok(true) => None,
        Ok(false) => Some("not all that its journal claims is known to be gone; `taster janitor` looks for it".to_owned()),
        Err(error) => Some(format!("its journal cannot be read: {error}")),
    }
}

/// Removes the folder of a run under the run's lock. Gives the reason when it must stay after all.
fn remove(folder: &Path) -> io::Result<Option<String>> {
    if !folder.symlink_metadata()?.is_dir() {
        return Err(io::Error::other("it is not a folder"));
    }
    let lock = match RunLock::attempt(folder) {
        Ok(lock) => lock,
        Err(LockError::Held { .. } | LockError::Replaced { .. }) => {
            return Ok(Some("the run goes on, or is being cleaned up".to_owned()));
        }
        Err(error @ (LockError::NoFile { .. } | LockError::System { .. })) => return Err(io::Error::other(with_causes(&error))),
    };
    if let Some(held) = journal::settled(folder)
        .map_or_else(|error| Some(error.to_string()), |settled| (!settled).then(|| "its journal claims something".to_owned()))
    {
        return Ok(Some(held));
    }
    // No link is followed.
    fs::remove_dir_all(folder)?;
    drop(lock);
    Ok(None)
}

/// The size of all files of a folder, in bytes. What cannot be read counts nothing.
fn size_of(folder: &Path) -> u64 {
    let mut open: Vec<PathBuf> = vec![folder.to_owned()];
    let mut bytes = 0;
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => open.push(entry.path()),
                Ok(meta) => bytes += meta.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

fn document(pruned: &[Pruned], dry_run: bool) -> String {
    let of = |wanted: fn(&Pruned) -> Option<&str>| -> Vec<Value> {
        let row = |pruned: &Pruned| {
            let because = wanted(pruned)?;
            let (run, recipe, bytes) = (pruned.stored.run.as_str(), &pruned.stored.recipe, pruned.stored.bytes);
            Some(json!({ "run_id": run, "recipe": recipe, "bytes": bytes, "because": because }))
        };
        pruned.iter().filter_map(row).collect()
    };
    let (removed, kept, failed) = (of(removed), of(kept), of(|pruned| pruned.failure.as_deref()));
    let document = json!({
        "schema": 1, "dry_run": dry_run, "removed": removed, "kept": kept, "failed": failed, "bytes": kept_bytes(pruned),
    });
    format!("{document:#}\n")
}

fn removed(pruned: &Pruned) -> Option<&str> {
    match (&pruned.decision, &pruned.failure) {
        (Decision::Removed(because), None) => Some(because),
        _ => None,
    }
}

fn kept(pruned: &Pruned) -> Option<&str> {
    match &pruned.decision {
        Decision::Kept(because) => Some(because),
        Decision::Removed(_) => None,
    }
}

fn kept_bytes(pruned: &[Pruned]) -> u64 {
    pruned.iter().filter(|pruned| removed(pruned).is_none()).map(|pruned| pruned.stored.bytes).sum()
}

fn lines(pruned: &[Pruned], dry_run: bool) -> String {
    let verb = if dry_run { "would remove" } else { "removed" };
    let mut text = String::new();
    for one in pruned {
        let name = format!(
            "{} ({}, {})",
            one.stored.run,
            one.stored.recipe.as_deref().unwrap_or("unknown recipe"),
            format_size(one.stored.bytes)
        );
        let line = match (&one.failure, removed(one)) {
            (Some(failure), _) => format!("{name}: not removed: {failure}"),
            (None, Some(because)) => format!("{name}: {verb}: {because}"),
            (None, None) => continue,
        };
        text += &(printable(&line).replace('\n', " ") + "\n");
    }
    let gone: Vec<&Pruned> = pruned.iter().filter(|pruned| removed(pruned).is_some()).collect();
    let bytes = gone.iter().map(|pruned| pruned.stored.bytes).sum();
    let (left, kept) = (pruned.len() - gone.len(), format_size(kept_bytes(pruned)));
    text + &format!("{verb} {} ({}); kept {left} ({kept})\n", format_runs(gone.len()), format_size(bytes))
}

fn format_runs(count: usize) -> String {
    if count == 1 { "1 run".to_owned() } else { format!("{count} runs") }
}

fn format_size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// Parses a size: a number of bytes, or one with `K`, `M`, `G` or `T`.
fn size(text: &str) -> Result<u64, &'static str> {
    let wrong = "it must be a size such as 500M or 2G";
    let (digits, shift) = match text.split_at_checked(text.len().saturating_sub(1)) {
        Some((digits, "K")) => (digits, 10),
        Some((digits, "M")) => (digits, 20),
        Some((digits, "G")) => (digits, 30),
        Some((digits, "T")) => (digits, 40),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| wrong)?;
    number.checked_mul(1 << shift).ok_or(wrong)
}

/// Parses an age: a number of hours, days or weeks.
fn age(text: &str) -> Result<Duration, &'static str> {
    let wrong = "it must be an age such as 12h, 30d or 8w";
    let (digits, hours) = match text.split_at_checked(text.len().saturating_sub(1)) {
        Some((digits, "h")) => (digits, 1),
        Some((digits, "d")) => (digits, 24),
        Some((digits, "w")) => (digits, 24 * 7),
        _ => return Err(wrong),
    };
    let number: u64 = digits.parse().map_err(|_| wrong)?;
    number.checked_mul(hours * 3600).map(Duration::from_secs).ok_or(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_need_a_number_and_a_known_unit() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("12", Some(12)),
            ("2K", Some(2048)),
            ("1G", Some(1 << 30)),
            ("G", None),
            ("1X", None),
            ("-1", None),
            ("", None),
            ("é", None),
            ("99999999T", None),
        ] {
            assert_eq!(size(text).ok(), bytes, "{text}");
        }
        for (text, hours) in [
            ("12h", Some(12)),
            ("2d", Some(48)),
            ("1w", Some(168)),
            ("0d", Some(0)),
            ("1", None),
            ("d", None),
            ("1y", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(age(text).ok(), hours.map(|hours| Duration::from_secs(hours * 3600)), "{text}");
        }
    }
}
