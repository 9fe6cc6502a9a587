//! The table that `abra recipe lint` prints.

/// The table for a recipe that breaks these rules and no others.
pub fn lint_table(broken: &[&str]) -> String {
    let row = |id: &str, name: &str, severity: &str| {
        let satisfied = if broken.contains(&id) { "❌" } else { "✅" };
        format!("┃ {id} ┃ {name} ┃ {severity} ┃ {satisfied} ┃ - ┃ mend it ┃\n")
    };
    let rows = [
        row("R001", "compose config has expected version", "warn"),
        row("R009", "one service named 'app'", "error"),
        row("R011", "all services have images", "error"),
        row("R014", "only annotated tags used", "error"),
    ];
    let critical = broken.iter().any(|id| *id != "R001");
    let last = if critical { "WARN critical errors present in hello config\n" } else { "" };
    format!("┏━┓\n┃ ref ┃ rule ┃ severity ┃ satisfied ┃ skipped ┃ resolve ┃\n┣━┫\n{}┗━┛\n{last}", rows.concat())
}
