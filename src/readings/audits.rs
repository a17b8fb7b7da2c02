//! Readings from the MTA's published turnstile files.
//!
//! A file holds one row per audit of a turnstile, with counters that only grow
//! since the turnstile was installed. A reading is what passed between two
//! audits, so a turnstile's first audit gives none. A counter that runs
//! backwards counts all the same; one that jumps was reset or replaced, and its
//! audit only starts anew.
//!
//! A row stands alone: a bad one is told of and harms no other. The ID is made
//! from the row, so a file replayed gives the same messages again.
//!
//! Source: the MTA's "Turnstile Usage Data" field description.

use std::collections::HashMap;
use std::fmt::Write as _;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use csv_core::{ReadRecordResult, Reader};

const COLUMNS: [&str; 11] = [
    "C/A", "UNIT", "SCP", "STATION", "LINENAME", "DIVISION", "DATE", "TIME", "DESC", "ENTRIES",
    "EXITS",
];

/// More passages than this between two audits are a counter's reset.
const PLAUSIBLE: u64 = 100_000;

/// Takes rows in the order of the file, or of several files that go on from
/// each other.
#[derive(Debug, Default)]
pub struct Audits {
    /// Entries and exits of each turnstile at its last audit.
    last: HashMap<String, (u64, u64)>,
    row: Row,
    pub counts: Counts,
}

/// What became of the rows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub readings: u64,
    /// Each turnstile's first audit.
    pub first: u64,
    pub resets: u64,
    pub bad: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub at: NaiveDateTime,
    pub id: String,
    /// As [`Readings::next`](super::Readings::next) writes it.
    pub line: String,
}

/// Why a row cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRow {
    #[error("not UTF-8")]
    NotText,
    #[error("{found} fields, expected {}", COLUMNS.len())]
    Fields { found: usize },
    #[error("{column} is no counter: `{text}`")]
    Counter { column: &'static str, text: String },
    #[error("DATE is not MM/DD/YYYY: `{text}`")]
    Date { text: String },
    #[error("TIME is not HH:mm:ss: `{text}`")]
    Time { text: String },
}

impl Audits {
    /// What a line of a file gives: nothing if it is blank, the header, a first
    /// audit or a reset.
    pub fn line(&mut self, line: &[u8]) -> Result<Option<Reading>, BadRow> {
        let found = self.audit(line);
        if found.is_err() {
            self.counts.bad += 1;
        }
        found
    }

    fn audit(&mut self, line: &[u8]) -> Result<Option<Reading>, BadRow> {
        let line = line.trim_ascii();
        let fields = self.row.read(line)?;
        if line.is_empty() || fields == COLUMNS {
            return Ok(None);
        }
        let &[ca, unit, scp, .., date, time, _, entries, exits] = fields.as_slice() else {
            return Err(BadRow::Fields { found: fields.len() });
        };
        if fields.len() != COLUMNS.len() {
            return Err(BadRow::Fields { found: fields.len() });
        }
        let at = instant(date, time)?;
        let now = (counter("ENTRIES", entries)?, counter("EXITS", exits)?);
        let Some(before) = self.last.insert(format!("{ca},{unit},{scp}"), now) else {
            self.counts.first += 1;
            return Ok(None);
        };
        let (entered, left) = (before.0.abs_diff(now.0), before.1.abs_diff(now.1));
        if entered > PLAUSIBLE || left > PLAUSIBLE {
            self.counts.resets += 1;
            return Ok(None);
        }
        self.counts.readings += 1;
        let id = id(line);
        let line = message(&fields, at, [entered, left], &id);
        Ok(Some(Reading { at, id, line }))
    }
}

fn instant(date: &str, time: &str) -> Result<NaiveDateTime, BadRow> {
    let day = NaiveDate::parse_from_str(date, "%m/%d/%Y")
        .map_err(|_| BadRow::Date { text: date.to_owned() })?;
    let time = NaiveTime::parse_from_str(time, "%H:%M:%S")
        .map_err(|_| BadRow::Time { text: time.to_owned() })?;
    Ok(day.and_time(time))
}

fn counter(column: &'static str, text: &str) -> Result<u64, BadRow> {
    text.parse().map_err(|_| BadRow::Counter { column, text: text.to_owned() })
}

fn message(fields: &[&str], at: NaiveDateTime, passed: [u64; 2], id: &str) -> String {
    let mut line = String::with_capacity(128);
    for field in &fields[..6] {
        push_field(&mut line, field);
    }
    let _ = write!(line, "{},", at.format("%m-%d-%y,%H:%M:%S"));
    push_field(&mut line, fields[8]);
    let [entered, left] = passed;
    let _ = write!(line, "{entered},{left},{id},{}", at.format("%Y-%m-%d %H:%M:%S"));
    line
}

/// A field and the comma behind it, quoted where it has to be.
fn push_field(line: &mut String, field: &str) {
    if field.contains([',', '"']) {
        let _ = write!(line, "\"{}\",", field.replace('"', "\"\""));
    } else {
        let _ = write!(line, "{field},");
    }
}

/// A UUID of the row's own, the same each time (version 8; 128-bit FNV-1a).
///
/// Source: <https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-8>
fn id(row: &[u8]) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = (1 << 88) + 0x13b;
    let hash = row.iter().fold(OFFSET, |h, byte| (h ^ u128::from(*byte)).wrapping_mul(PRIME));
    uuid::Builder::from_custom_bytes(hash.to_be_bytes()).into_uuid().to_string()
}

/// Fields are never more than this; one beyond the columns is too many already.
const MAX_FIELDS: usize = 64;

/// Splits a row into its fields, blanks around them cut off.
#[derive(Debug)]
struct Row {
    reader: Reader,
    text: Vec<u8>,
    ends: [usize; MAX_FIELDS],
}

impl Default for Row {
    fn default() -> Self {
        Self { reader: Reader::new(), text: Vec::new(), ends: [0; MAX_FIELDS] }
    }
}

impl Row {
    fn read(&mut self, line: &[u8]) -> Result<Vec<&str>, BadRow> {
        self.reader.reset();
        // Without its quotes a row is never longer.
        self.text.resize(line.len(), 0);
        let (mut written, mut fields) = (0, 0);
        // The empty input says that the row is over.
        for input in [line, b""] {
            let (result, _, text, ends) = self.reader.read_record(
                input,
                &mut self.text[written..],
                &mut self.ends[fields..],
            );
            written += text;
            fields += ends;
            if result == ReadRecordResult::OutputEndsFull {
                return Err(BadRow::Fields { found: MAX_FIELDS + 1 });
            }
        }
        let text = std::str::from_utf8(&self.text[..written]).map_err(|_| BadRow::NotText)?;
        let mut start = 0;
        let mut cut = |end: &usize| text.get(std::mem::replace(&mut start, *end)..*end);
        let fields = self.ends[..fields].iter().map(&mut cut);
        fields.map(|field| field.map(str::trim).ok_or(BadRow::NotText)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the MTA publishes them: the last column's name and values are padded.
    const FILE: &str = "\
C/A,UNIT,SCP,STATION,LINENAME,DIVISION,DATE,TIME,DESC,ENTRIES,EXITS                                                               
A002,R051,02-00-00,59 ST,NQR456W,BMT,09/23/2023,00:00:00,REGULAR,0007414864,0002518132                                        
A002,R051,02-00-00,59 ST,NQR456W,BMT,09/23/2023,04:00:00,REGULAR,0007414873,0002518136                                        
A002,R051,02-00-00,59 ST,NQR456W,BMT,09/23/2023,08:00:00,RECOVR AUD,0007414860,0002518236                                     
A002,R051,02-00-01,59 ST,NQR456W,BMT,09/23/2023,00:00:00,REGULAR,9,9
A002,R051,02-00-01,59 ST,NQR456W,BMT,09/23/2023,04:00:00,REGULAR,4000000,9
A002,R051,02-00-01,59 ST,NQR456W,BMT,09/23/2023,08:00:00,REGULAR,4000001,9
";

    fn read(audits: &mut Audits, text: &str) -> Vec<String> {
        let found = text.lines().filter_map(|line| audits.line(line.as_bytes()).unwrap());
        found.map(|reading| reading.line.replace(&reading.id, "ID")).collect()
    }

    /// 7414873 - 7414864 = 9 and 2518136 - 2518132 = 4; then the first counter
    /// ran 13 back and the second 100 on. The second turnstile's jump by 3999991
    /// is no reading, and the next one counts from where it jumped to.
    #[test]
    fn readings_are_the_differences_of_audits() {
        let mut audits = Audits::default();
        assert_eq!(
            read(&mut audits, FILE),
            [
                "A002,R051,02-00-00,59 ST,NQR456W,BMT,09-23-23,04:00:00,REGULAR,9,4,ID,\
                 2023-09-23 04:00:00",
                "A002,R051,02-00-00,59 ST,NQR456W,BMT,09-23-23,08:00:00,RECOVR AUD,13,100,ID,\
                 2023-09-23 08:00:00",
                "A002,R051,02-00-01,59 ST,NQR456W,BMT,09-23-23,08:00:00,REGULAR,1,0,ID,\
                 2023-09-23 08:00:00",
            ]
        );
        assert_eq!(audits.counts, Counts { readings: 3, first: 2, resets: 1, bad: 0 });
    }

    #[test]
    fn a_reset_is_beyond_what_is_plausible() {
        let mut audits = Audits::default();
        let row = |n: u64| format!("A,R,S,T,L,D,09/23/2023,00:00:00,REGULAR,{n},0\n");
        let text = [0, 100_000, 200_001].map(row).concat();
        assert_eq!(read(&mut audits, &text).len(), 1);
        assert_eq!(audits.counts.resets, 1);
    }

    #[test]
    fn a_replay_gives_the_same_ids_and_no_two_alike() {
        let ids = |_| {
            let mut audits = Audits::default();
            let found = FILE.lines().filter_map(|line| audits.line(line.as_bytes()).unwrap());
            found.map(|reading| reading.id).collect::<Vec<_>>()
        };
        let [first, again] = [0, 1].map(ids);
        assert_eq!(first, again);
        assert_ne!(first[0], first[1]);
        assert!(uuid::Uuid::parse_str(&first[0]).is_ok());
    }

    #[test]
    fn quotes_are_read_and_written() {
        let mut audits = Audits::default();
        let row = "A,R,S,\"A, \"\"B\"\" ST\",L,D,09/23/2023,00:00:00,REGULAR,1,1\n";
        assert_eq!(read(&mut audits, &row.repeat(2)).len(), 1);
        let reading = audits.line(row.as_bytes()).unwrap().unwrap();
        assert!(reading.line.starts_with("A,R,S,\"A, \"\"B\"\" ST\",L,"), "{}", reading.line);
    }

    #[test]
    fn a_bad_row_says_why_and_harms_no_other() {
        let mut audits = Audits::default();
        let bad = |audits: &mut Audits, row: &[u8]| audits.line(row).unwrap_err().to_string();
        let row = |date: &str, time: &str, n: &str| {
            format!("A,R,S,T,L,D,{date},{time},REGULAR,{n},1")
        };
        audits.line(row("09/23/2023", "00:00:00", "1").as_bytes()).unwrap();
        for (text, why) in [
            ("a,b".to_owned(), "2 fields, expected 11"),
            (row("09/23/2023", "00:00:00", "1,1"), "12 fields, expected 11"),
            (",".repeat(70), "65 fields, expected 11"),
            (row("23/09/2023", "00:00:00", "1"), "DATE is not MM/DD/YYYY: `23/09/2023`"),
            (row("09/23/2023", "25:00:00", "1"), "TIME is not HH:mm:ss: `25:00:00`"),
            (row("09/23/2023", "00:00:00", "-1"), "ENTRIES is no counter: `-1`"),
            (row("09/23/2023", "00:00:00", ""), "ENTRIES is no counter: ``"),
        ] {
            assert_eq!(bad(&mut audits, text.as_bytes()), why, "{text}");
        }
        assert_eq!(bad(&mut audits, b"A,\xff,S"), "not UTF-8");
        let good = audits.line(row("09/23/2023", "04:00:00", "5").as_bytes()).unwrap().unwrap();
        assert!(good.line.contains(",REGULAR,4,0,"), "{}", good.line);
        assert_eq!(audits.counts, Counts { readings: 1, first: 1, resets: 0, bad: 8 });
    }
}
