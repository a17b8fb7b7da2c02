//! `turnstile produce csv`: the MTA's published turnstile files as readings.
//!
//! A file holds one row per audit of a turnstile, with counters that only grow
//! since the turnstile was installed. A reading is what passed between two
//! audits, so a turnstile's first audit gives none. A counter that runs
//! backwards counts all the same; one that jumps has been reset, and the audit
//! only starts anew.
//!
//! Source: the MTA's "Turnstile Usage Data" field description.

use std::collections::HashMap;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};

use super::super::signals::stop_on_signals;
use super::super::{CliError, say};
use super::{Sender, Target};
use crate::engine::StopSignal;

/// Replay the MTA's published turnstile files.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files with the header C/A,UNIT,SCP,STATION,LINENAME,DIVISION,DATE,TIME,DESC,ENTRIES,EXITS.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    target: Target,
}

const HEADER: [&str; 11] = [
    "C/A", "UNIT", "SCP", "STATION", "LINENAME", "DIVISION", "DATE", "TIME", "DESC", "ENTRIES",
    "EXITS",
];

/// More passages than this between two audits are a counter's reset.
const PLAUSIBLE: u64 = 100_000;

/// Bad lines that are told one by one.
const TOLD: u64 = 10;

pub fn execute(args: &Args) -> Result<(), CliError> {
    for file in &args.files {
        open(file)?;
    }
    let sender = args.target.connect()?;
    let stop = StopSignal::default();
    stop_on_signals(&stop)?;
    let mut replay = Replay::default();
    for file in &args.files {
        replay.file(file, &sender, &stop)?;
    }
    let delivered = sender.finish()?;
    say(&format!(
        "{delivered} readings delivered to `{}`; {} first audits, {} resets, {} bad lines",
        args.target.topic, replay.first, replay.resets, replay.bad
    ));
    Ok(())
}

fn open(file: &Path) -> Result<std::io::BufReader<std::fs::File>, CliError> {
    let failed =
        |e: std::io::Error| CliError::Author(format!("error: {}: {e}", file.display()));
    std::fs::File::open(file).map(std::io::BufReader::new).map_err(failed)
}

/// The counters of each turnstile at its last audit.
#[derive(Debug, Default)]
pub struct Replay {
    last: HashMap<String, (u64, u64)>,
    pub first: u64,
    pub resets: u64,
    pub bad: u64,
}

/// What a line gives.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    Reading { id: String, text: String },
    Nothing,
}

impl Replay {
    fn file(
        &mut self,
        file: &Path,
        sender: &Sender,
        stop: &StopSignal,
    ) -> Result<(), CliError> {
        for (number, line) in (1u64..).zip(open(file)?.lines()) {
            if stop.is_set() {
                return Ok(());
            }
            let place = || format!("{}:{number}", file.display());
            let line = line.map_err(|e| CliError::World(format!("{}: {e}", place())))?;
            match self.line(&line) {
                Ok(Line::Nothing) => {}
                Ok(Line::Reading { id, text }) => {
                    sender.send(id.as_bytes(), text.as_bytes())?
                }
                Err(reason) => {
                    self.bad += 1;
                    if self.bad <= TOLD {
                        say(&format!("{}: {reason}", place()));
                    }
                }
            }
        }
        Ok(())
    }

    /// One line of a file.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn line(&mut self, line: &str) -> Result<Line, String> {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        if line.trim().is_empty() || fields == HEADER {
            return Ok(Line::Nothing);
        }
        let &[ca, unit, scp, station, lines, division, date, time, desc, entries, exits] =
            fields.as_slice()
        else {
            return Err(format!("{} fields in place of {}", fields.len(), HEADER.len()));
        };
        let number = |name: &str, text: &str| {
            text.parse::<u64>().map_err(|_| format!("{name} is no number: `{text}`"))
        };
        let now = (number("ENTRIES", entries)?, number("EXITS", exits)?);
        let day = chrono::NaiveDate::parse_from_str(date, "%m/%d/%Y")
            .map_err(|_| format!("DATE is not MM/DD/YYYY: `{date}`"))?;
        let clock = chrono::NaiveTime::parse_from_str(time, "%H:%M:%S")
            .map_err(|_| format!("TIME is not HH:mm:ss: `{time}`"))?;
        let Some(before) = self.last.insert(format!("{ca},{unit},{scp}"), now) else {
            self.first += 1;
            return Ok(Line::Nothing);
        };
        let (entered, left) = (before.0.abs_diff(now.0), before.1.abs_diff(now.1));
        if entered > PLAUSIBLE || left > PLAUSIBLE {
            self.resets += 1;
            return Ok(Line::Nothing);
        }
        let id = uuid::Uuid::new_v4().to_string();
        let text = format!(
            "{ca},{unit},{scp},{station},{lines},{division},{},{time},{desc},{entered},{left},{id},{} {clock}",
            day.format("%m-%d-%y"),
            day.format("%Y-%m-%d"),
        );
        Ok(Line::Reading { id, text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audit(counters: &str) -> String {
        format!(
            "A002,R051,02-00-00,59 ST,NQR456W,BMT,09/23/2023,04:00:00,REGULAR,{counters}        "
        )
    }

    #[test]
    fn readings_are_differences_of_audits() {
        let mut replay = Replay::default();
        let header = "C/A,UNIT,SCP,STATION,LINENAME,DIVISION,DATE,TIME,DESC,ENTRIES,EXITS     ";
        assert_eq!(replay.line(header), Ok(Line::Nothing));
        assert_eq!(replay.line(&audit("0007414864,0002518132")), Ok(Line::Nothing));
        let Ok(Line::Reading { id, text }) = replay.line(&audit("0007414873,0002518136"))
        else {
            panic!("the second audit gives a reading");
        };
        let expected = format!(
            "A002,R051,02-00-00,59 ST,NQR456W,BMT,09-23-23,04:00:00,REGULAR,9,4,{id},2023-09-23 04:00:00"
        );
        assert_eq!(text, expected);
        assert_eq!(replay.line(&audit("5,7")), Ok(Line::Nothing), "the counter was reset");
        assert!(
            matches!(replay.line(&audit("3,5")), Ok(Line::Reading { .. })),
            "runs backwards"
        );
        assert_eq!((replay.first, replay.resets), (1, 1));
        assert_eq!(replay.line("a,b"), Err("2 fields in place of 11".to_owned()));
        assert_eq!(replay.line(&audit("x,5")), Err("ENTRIES is no number: `x`".to_owned()));
    }
}
