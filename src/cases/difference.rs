//! What differs between the rows a table should hold and those it holds.
//!
//! Rows are compared as multisets. A missing row and an extra one that agree in
//! most columns are one row that changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use unicode_width::UnicodeWidthStr as _;

use super::rows::{Cell, Row};

/// The rows of one table that are not as expected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    pub columns: Vec<String>,
    /// Expected, and written in its place.
    pub changed: Vec<(Row, Row)>,
    /// Expected and not written.
    pub missing: Vec<Row>,
    /// Written and not expected.
    pub extra: Vec<Row>,
    pub same: usize,
}

/// More pairs than this are not looked at for changed rows.
const MAX_PAIRS: usize = 400_000;

impl Difference {
    /// Compares; `None` if the rows are the same.
    pub fn between(
        columns: Vec<String>,
        expected: Vec<Row>,
        written: Vec<Row>,
    ) -> Option<Self> {
        let mut wanted: BTreeMap<_, Vec<Row>> = BTreeMap::new();
        for row in expected {
            wanted.entry(row.key()).or_default().push(row);
        }
        let (mut extra, mut same) = (Vec::new(), 0);
        for row in written {
            match wanted.get_mut(&row.key()).and_then(Vec::pop) {
                Some(_) => same += 1,
                None => extra.push(row),
            }
        }
        // Flink's csv writes the text NULL as it writes a null.
        extra.retain(|row| {
            let bare = row.key().into_iter().map(|cell| cell.filter(|text| text != "NULL"));
            let matched = wanted.get_mut(&bare.collect::<Vec<_>>()).and_then(Vec::pop);
            same += usize::from(matched.is_some());
            matched.is_none()
        });
        let missing: Vec<Row> = wanted.into_values().flatten().collect();
        if missing.is_empty() && extra.is_empty() {
            return None;
        }
        extra.sort();
        let pairs = pairs(&missing, &extra);
        let (mut missing, mut extra) = (some(missing), some(extra));
        let mut take = |(m, e): (usize, usize)| Some((missing[m].take()?, extra[e].take()?));
        let changed = pairs.into_iter().filter_map(&mut take).collect();
        let left = |rows: Vec<Option<Row>>| rows.into_iter().flatten().collect();
        Some(Self { columns, changed, missing: left(missing), extra: left(extra), same })
    }

    /// Without the rows that differ in the last digits of numbers alone: these
    /// depend on the order in which a deviation's parts are added up.
    pub fn ignoring_last_digits(mut self) -> Option<Self> {
        let is_near = |(one, other): (&Cell, &Cell)| {
            let number = |cell: &Cell| cell.canonical()?.parse::<f64>().ok();
            one.canonical() == other.canonical()
                || number(one).zip(number(other)).is_some_and(|(one, other)| {
                    (one - other).abs() <= 1e-12 * one.abs().max(other.abs())
                })
        };
        self.changed.retain(|(one, other)| !one.0.iter().zip(&other.0).all(is_near));
        let is_empty =
            self.changed.is_empty() && self.missing.is_empty() && self.extra.is_empty();
        (!is_empty).then_some(self)
    }

    /// `1 row changed, 2 missing, 1 too many; 5 as expected`.
    pub fn summary(&self) -> String {
        let counts = [
            (self.changed.len(), "changed"),
            (self.missing.len(), "missing"),
            (self.extra.len(), "too many"),
        ];
        let mut parts: Vec<String> = Vec::new();
        for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
            let rows = match (parts.is_empty(), count) {
                (false, _) => "",
                (true, 1) => "row ",
                (true, _) => "rows ",
            };
            parts.push(format!("{count} {rows}{what}"));
        }
        format!("{}; {} as expected", parts.join(", "), self.same)
    }
}

fn some(rows: Vec<Row>) -> Vec<Option<Row>> {
    rows.into_iter().map(Some).collect()
}

/// Which missing row is which extra one, by index, the best first.
///
/// A column tells more the more values of it are on both sides: a key has many,
/// a constant one, an aggregate that changed none.
fn pairs(missing: &[Row], extra: &[Row]) -> Vec<(usize, usize)> {
    if missing.len().saturating_mul(extra.len()) > MAX_PAIRS {
        return Vec::new();
    }
    let width = missing.first().map_or(0, |row| row.0.len());
    let values = |rows: &[Row], column: usize| -> BTreeSet<Option<String>> {
        rows.iter().map(|row| row.0[column].canonical().map(str::to_owned)).collect()
    };
    let weights: Vec<usize> = (0..width)
        .map(|column| values(missing, column).intersection(&values(extra, column)).count())
        .collect();
    let mut found = Vec::new();
    for (m, expected) in missing.iter().enumerate() {
        for (e, written) in extra.iter().enumerate() {
            let agree = |column: &usize| !differs(&expected.0[*column], &written.0[*column]);
            let agreeing: Vec<usize> = (0..width).filter(agree).collect();
            if !agreeing.is_empty() && agreeing.len() * 2 >= width {
                let weight: usize = agreeing.iter().map(|column| weights[*column]).sum();
                found.push((std::cmp::Reverse((weight, agreeing.len())), m, e));
            }
        }
    }
    found.sort();
    let (mut taken_m, mut taken_e) = (BTreeSet::new(), BTreeSet::new());
    let free = |(_, m, e): &(_, usize, usize)| {
        let free = !taken_m.contains(m) && !taken_e.contains(e);
        if free {
            taken_m.insert(*m);
            taken_e.insert(*e);
        }
        free
    };
    found.into_iter().filter(free).map(|(_, m, e)| (m, e)).collect()
}

fn differs(a: &Cell, b: &Cell) -> bool {
    a.canonical() != b.canonical()
}

/// Rows shown of one table.
const MAX_SHOWN: usize = 40;
/// Columns of the screen that a value may take where it is as expected.
const MAX_CELL: usize = 48;

/// How a part of a difference is to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    Plain,
    /// Column names, and what was left out.
    Faint,
    Missing,
    Extra,
    /// The value that differs in a changed row.
    MissingCell,
    ExtraCell,
}

/// A line of a table: its parts, each with its ink.
pub type Line = Vec<(Ink, String)>;

impl Difference {
    /// The difference as an aligned table: `-` expected, `+` written, and below
    /// a changed row `^` at the values that differ.
    pub fn lines(&self) -> Vec<Line> {
        let mut entries: Vec<(Option<&Row>, Option<&Row>)> =
            self.changed.iter().map(|(m, e)| (Some(m), Some(e))).collect();
        entries.extend(self.missing.iter().map(|row| (Some(row), None)));
        entries.extend(self.extra.iter().map(|row| (None, Some(row))));
        entries.sort_by_key(|(missing, extra)| missing.or(*extra));
        let hidden = entries.len().saturating_sub(MAX_SHOWN);
        entries.truncate(MAX_SHOWN);
        let table = Aligned::new(&self.columns, &entries);
        let mut lines = vec![table.line(Ink::Faint, "  ", &self.columns, |_| None)];
        for (missing, extra) in &entries {
            let differing = |column: usize| match (missing, extra) {
                (Some(m), Some(e)) => differs(&m.0[column], &e.0[column]),
                _ => false,
            };
            let cells = |row: &Row| -> Vec<String> {
                let cells = row.0.iter().enumerate();
                cells.map(|(at, cell)| shown(cell, differing(at))).collect()
            };
            if let Some(row) = missing {
                let mark = |column| differing(column).then_some(Ink::MissingCell);
                lines.push(table.line(Ink::Missing, "- ", &cells(row), mark));
            }
            if let Some(row) = extra {
                let mark = |column| differing(column).then_some(Ink::ExtraCell);
                lines.push(table.line(Ink::Extra, "+ ", &cells(row), mark));
            }
            if let (Some(missing), Some(extra)) = (missing, extra) {
                let width = |at: usize| {
                    let both = [&missing.0[at], &extra.0[at]];
                    let widths = both.map(|cell| shown(cell, true).width());
                    if differing(at) { widths[0].max(widths[1]) } else { 0 }
                };
                lines.push(table.carets(width));
            }
        }
        if hidden > 0 {
            lines.push(vec![(Ink::Faint, format!("  … and {hidden} more"))]);
        }
        lines
    }
}

/// A value, cut where it is long and as expected.
fn shown(cell: &Cell, whole: bool) -> String {
    let text = cell.shown();
    if whole || text.width() <= MAX_CELL {
        return text;
    }
    let mut cut: String = text.chars().take(MAX_CELL - 1).collect();
    cut.push('…');
    cut
}

/// The widths of a table's columns.
struct Aligned {
    widths: Vec<usize>,
    /// Columns of numbers stand on the right.
    right: Vec<bool>,
}

impl Aligned {
    fn new(columns: &[String], entries: &[(Option<&Row>, Option<&Row>)]) -> Self {
        let rows = || entries.iter().flat_map(|(m, e)| m.iter().chain(e));
        let width = |(at, name): (usize, &String)| {
            let changed = |cell: &Cell| shown(cell, true).width();
            let both = entries
                .iter()
                .filter_map(|(m, e)| Some((&m.as_ref()?.0[at], &e.as_ref()?.0[at])));
            let differing = both.filter(|(m, e)| differs(m, e));
            let differing = differing.flat_map(|(m, e)| [changed(m), changed(e)]);
            let plain = rows().map(|row| shown(&row.0[at], false).width());
            plain.chain(differing).chain([name.width()]).max().unwrap_or_default()
        };
        let number = |at: usize| {
            let number =
                |cell: &Cell| cell.canonical().is_none_or(|t| t.parse::<f64>().is_ok());
            rows().all(|row| number(&row.0[at]))
        };
        Self {
            widths: columns.iter().enumerate().map(width).collect(),
            right: (0..columns.len()).map(number).collect(),
        }
    }

    fn line(
        &self,
        ink: Ink,
        sign: &str,
        cells: &[String],
        mark: impl Fn(usize) -> Option<Ink>,
    ) -> Line {
        let mut line = vec![(ink, sign.to_owned())];
        let mut push = |ink: Ink, text: &str| match line.last_mut() {
            Some((last, before)) if *last == ink => before.push_str(text),
            _ => line.push((ink, text.to_owned())),
        };
        for (at, cell) in cells.iter().enumerate() {
            let (before, after) = self.around(at, cell.width());
            push(ink, &before);
            push(mark(at).unwrap_or(ink), cell);
            push(ink, &after);
        }
        line
    }

    /// The blanks before and after a value of this width.
    fn around(&self, at: usize, width: usize) -> (String, String) {
        let blanks = " ".repeat(self.widths[at].saturating_sub(width));
        let gap = if at + 1 < self.widths.len() { "  " } else { "" };
        if self.right[at] { (blanks, gap.to_owned()) } else { (String::new(), blanks + gap) }
    }

    /// Marks the values of a changed row; 0 where they are the same.
    fn carets(&self, widths: impl Fn(usize) -> usize) -> Line {
        let mut text = "  ".to_owned();
        for at in 0..self.widths.len() {
            let width = widths(at);
            let (before, after) = self.around(at, width);
            text.push_str(&(before + &"^".repeat(width) + &after));
        }
        vec![(Ink::Faint, text.trim_end().to_owned())]
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.lines() {
            let text: String = line.iter().map(|(_, part)| part.as_str()).collect();
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Row {
        let value = |text: &&str| match *text {
            "NULL" => Cell::Null,
            text => Cell::Value { canonical: text.to_owned(), text: text.to_owned() },
        };
        Row(cells.iter().map(value).collect())
    }

    fn between(expected: &[&[&str]], written: &[&[&str]]) -> Option<Difference> {
        let columns = ["station", "time", "n"].map(str::to_owned).to_vec();
        let rows = |rows: &[&[&str]]| rows.iter().map(|cells| row(cells)).collect();
        Difference::between(columns, rows(expected), rows(written))
    }

    #[test]
    fn rows_in_any_order_are_the_same() {
        let rows: &[&[&str]] = &[&["A", "1", "2"], &["A", "1", "2"], &["B", "1", "NULL"]];
        assert_eq!(between(rows, &[rows[2], rows[0], rows[1]]), None);
        let once_too_few = between(rows, &[rows[2], rows[0]]).unwrap();
        assert_eq!(once_too_few.missing, [row(rows[0])]);
        assert_eq!(once_too_few.summary(), "1 row missing; 2 as expected");
    }

    #[test]
    fn a_changed_row_is_one_pair_and_its_values_are_marked() {
        let difference = between(
            &[
                &["Astor Pl", "16:05", "9"],
                &["Astor Pl", "16:10", "9"],
                &["Canal", "16:05", "1"],
            ],
            &[
                &["Astor Pl", "16:05", "9"],
                &["Astor Pl", "16:10", "10"],
                &["Dekalb", "17:00", "2"],
            ],
        )
        .unwrap();
        assert_eq!(difference.summary(), "1 row changed, 1 missing, 1 too many; 1 as expected");
        assert_eq!(
            difference.to_string(),
            "  station   time    n\n\
             - Astor Pl  16:10   9\n\
             + Astor Pl  16:10  10\n\
             \x20                  ^^\n\
             - Canal     16:05   1\n\
             + Dekalb    17:00   2\n"
        );
    }

    /// All agree in the constant column; the one with many values decides.
    #[test]
    fn the_key_is_the_column_that_agrees_most() {
        let expected: Vec<Vec<String>> =
            (0..9).map(|i| vec![format!("s{i}"), "NYC".into(), format!("{}", i + 1)]).collect();
        let written: Vec<Vec<String>> =
            (0..9).map(|i| vec![format!("s{i}"), "NYC".into(), format!("{}", i + 2)]).collect();
        let rows = |rows: &[Vec<String>]| -> Vec<Row> {
            let row = |cells: &Vec<String>| {
                row(&cells.iter().map(String::as_str).collect::<Vec<_>>())
            };
            rows.iter().map(row).collect()
        };
        let columns = ["station", "city", "n"].map(str::to_owned).to_vec();
        let found = Difference::between(columns, rows(&expected), rows(&written)).unwrap();
        assert_eq!(found.changed.len(), 9);
        assert!(found.changed.iter().all(|(m, e)| m.0[0] == e.0[0]), "{found}");
    }

    #[test]
    fn many_rows_are_shown_in_part() {
        let rows: Vec<Row> = (0..100).map(|i| row(&[&i.to_string(), "x", "1"])).collect();
        let columns = ["a", "b", "c"].map(str::to_owned).to_vec();
        let found = Difference::between(columns, rows, vec![]).unwrap();
        assert!(found.to_string().ends_with("… and 60 more\n"), "{found}");
    }
}
