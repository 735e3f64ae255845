//! Tables: columns two blanks apart, no lines, no blanks at the end, so that they can be cut and sorted.

use comfy_table::{CellAlignment, Table, presets};

/// A table of texts. Columns whose head begins with `>` are set right; the mark is not shown.
///
/// A table without rows says so instead: `nothing` names what there is none of.
pub(crate) fn table<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    nothing: &str,
) -> String {
    let rows: Vec<[String; N]> = rows.into_iter().collect();
    if rows.is_empty() {
        return format!("no {nothing}\n");
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head.map(|name| name.trim_start_matches('>'))).add_rows(rows);
    for (column, name) in table.column_iter_mut().zip(head) {
        column.set_padding((0, 2));
        if name.starts_with('>') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Lines of a name and a value, the values below each other; further lines of a value are set in.
pub(crate) fn pairs(rows: impl IntoIterator<Item = (String, String)>) -> String {
    let rows: Vec<(String, String)> = rows.into_iter().collect();
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let line = |(name, value): (String, String)| {
        let value = value.replace('\n', &format!("\n  {:width$}  ", ""));
        format!("  {name:width$}  {value}\n")
    };
    rows.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_stand_below_each_other() {
        let rows = [["emails", "12", ""], ["a", "3", "paused"]].map(|row| row.map(str::to_owned));
        let text = super::table(["QUEUE", ">WAITING", "STATE"], rows, "queues");
        assert_eq!(text, "QUEUE   WAITING  STATE\nemails       12\na             3  paused\n");
        assert_eq!(super::table(["QUEUE"], [], "queues"), "no queues\n");
    }

    #[test]
    fn values_stand_below_each_other() {
        let rows = [("a", "1\n2"), ("long", "3")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(super::pairs(rows), "  a     1\n        2\n  long  3\n");
    }
}
