//! Plain tables: a heading, columns as wide as their widest cell, two spaces between them.

use crate::print::clean;

/// Rows under a heading.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this heading.
    pub(crate) fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(|&word| word.to_owned()).collect()] }
    }

    /// One more row. An empty cell is shown as `-`, so that columns can be counted.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let fill = |cell: String| match clean(&cell) {
            empty if empty.is_empty() => "-".to_owned(),
            cell => cell,
        };
        self.rows.push(cells.into_iter().map(fill).collect());
    }

    /// The lines, the heading first. The last column is not padded.
    pub(crate) fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut widths = vec![0; columns];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let line = |row: &Vec<String>| {
            let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_trails() {
        let mut table = Table::new(&["NAME", "ROLE", "ID"]);
        table.row(["a".to_owned(), "owner".to_owned(), "n:x".to_owned()]);
        table.row(["longer".to_owned(), String::new(), String::new()]);
        assert_eq!(table.lines(), ["NAME    ROLE   ID", "a       owner  n:x", "longer  -      -"]);
    }

    #[test]
    fn a_cell_cannot_leave_its_line() {
        let mut table = Table::new(&["A", "B"]);
        table.row(["x\r\n\u{1b}[2Jy".to_owned(), "b".to_owned()]);
        assert_eq!(table.lines()[1], "x[2Jy  b");
    }
}
