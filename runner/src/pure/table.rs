//! A table of text that fits the width of the terminal.

/// The columns between two cells.
const GAP: usize = 2;

/// The rows as lines, each column as wide as its widest cell. Where the rows are wider than `room` columns, the widest column
/// shrinks as long as no word is cut, and the rest of a cell continues on the next line.
pub(crate) fn table<const N: usize>(rows: &[[String; N]], room: Option<usize>) -> String {
    let widths = widths(rows, room);
    rows.iter().flat_map(|row| lines(row, &widths)).collect()
}

fn widths<const N: usize>(rows: &[[String; N]], room: Option<usize>) -> [usize; N] {
    let widest = |column: usize, parts: fn(&str) -> usize| rows.iter().map(|row| parts(&row[column])).max().unwrap_or(0);
    let longest_word = |cell: &str| cell.split(' ').map(length).max().unwrap_or(0);
    let least: [usize; N] = std::array::from_fn(|column| widest(column, longest_word));
    let mut widths: [usize; N] = std::array::from_fn(|column| widest(column, length));
    let room = room.unwrap_or(usize::MAX);
    while widths.iter().sum::<usize>() + GAP * N.saturating_sub(1) > room {
        let shrinkable = (0..N).filter(|column| widths[*column] > least[*column]);
        let Some(column) = shrinkable.max_by_key(|column| widths[*column]) else { break };
        widths[column] -= 1;
    }
    widths
}

fn lines<const N: usize>(row: &[String; N], widths: &[usize; N]) -> Vec<String> {
    let cells: [Vec<String>; N] = std::array::from_fn(|column| break_lines(&row[column], widths[column]));
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    let line = |at: usize| {
        let part = |column: usize| cells[column].get(at).map(String::as_str).unwrap_or_default();
        let padded: Vec<String> = (0..N).map(|column| format!("{:<1$}", part(column), widths[column])).collect();
        padded.join(&" ".repeat(GAP)).trim_end().to_owned() + "\n"
    };
    (0..height).map(line).collect()
}

/// A cell as lines of at most `width` characters, broken between words.
fn break_lines(cell: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in cell.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if length(line) + 1 + length(word) <= width => *line += &format!(" {word}"),
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrow_table_shrinks_its_widest_column_and_cuts_no_word() {
        let rows = [["RECIPE", "LAST RUN", "LEVEL"], ["hello", "green (install, upgrade)", "1"], ["ünï", "-", "-"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        let wide = "RECIPE  LAST RUN                  LEVEL\n\
                    hello   green (install, upgrade)  1\n\
                    ünï     -                         -\n";
        let narrow = "RECIPE  LAST RUN         LEVEL\n\
                      hello   green (install,  1\n        upgrade)\n\
                      ünï     -                -\n";
        let least = "RECIPE  LAST RUN   LEVEL\n\
                     hello   green      1\n        (install,\n        upgrade)\n\
                     ünï     -          -\n";
        for (room, expected) in [(None, wide), (Some(39), wide), (Some(30), narrow), (Some(24), least), (Some(1), least)] {
            assert_eq!(table(&rows, room), expected, "{room:?}");
        }
    }
}
