//! Runs a case: its script is planned once and then run in several ways.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::connectors::{CaseConnectors, Landed};
use super::{Case, CaseError, io};
use crate::checkpoint::Identity;
use crate::clock::{Clock, ManualClock, SystemClock};
use crate::diagnostics::{Diagnostic, SourceFile};
use crate::engine::{
    self, Checkpoints, Ended, EngineError, MemoryOptions, RunOptions, StateOptions, Status,
    StopSignal,
};
use crate::planning::pipeline::Job;
use crate::sources::replay::{Arrival, Interruption, NextOrder, Order};
use crate::sources::{KafkaClient, OnDataLoss};
use crate::store::Location;

/// One of the ways to run a case, all of which must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variation {
    pub workers: usize,
    pub batch_size: usize,
    /// Decides how partitions interleave.
    pub seed: u64,
    /// How often the job is stopped in the middle and started again.
    pub restarts: u32,
    /// Whether state goes to disk whenever it can.
    pub on_disk: bool,
    /// Whether the run is ended at each of the engine's steps in turn, as if it had
    /// been killed there, and gone on with. Only where all results are files: others
    /// cannot be taken back.
    pub crashes: bool,
}

/// All at once, one message at a time, several workers in another order, stopped
/// now and then to be gone on with, with its state on disk, and killed.
pub const VARIATIONS: [Variation; 5] = [
    Variation {
        workers: 1,
        batch_size: 8192,
        seed: 1,
        restarts: 0,
        on_disk: false,
        crashes: false,
    },
    Variation {
        workers: 1,
        batch_size: 1,
        seed: 2,
        restarts: 0,
        on_disk: false,
        crashes: false,
    },
    Variation {
        workers: 3,
        batch_size: 2,
        seed: 3,
        restarts: 0,
        on_disk: false,
        crashes: false,
    },
    Variation {
        workers: 2,
        batch_size: 1,
        seed: 4,
        restarts: 2,
        on_disk: true,
        crashes: false,
    },
    Variation {
        workers: 2,
        batch_size: 3,
        seed: 5,
        restarts: 0,
        on_disk: false,
        crashes: true,
    },
];

impl std::fmt::Display for Variation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plural = |n: usize| if n == 1 { "" } else { "s" };
        let (workers, batch) = (self.workers, self.batch_size);
        write!(
            f,
            "{workers} worker{}, batches of {batch} message{}, seed {}",
            plural(workers),
            plural(batch),
            self.seed
        )?;
        match self.restarts {
            0 => {}
            restarts => write!(f, ", {restarts} restarts")?,
        }
        if self.on_disk {
            f.write_str(", state on disk")?;
        }
        if self.crashes { f.write_str(", killed at each step") } else { Ok(()) }
    }
}

/// Why a script was not run to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub text: String,
    /// The line of the script that it is about, from 1.
    pub line: Option<usize>,
}

/// What a run wrote.
#[derive(Debug, Clone)]
pub struct Written {
    /// By sink table.
    pub tables: BTreeMap<String, Vec<RecordBatch>>,
    pub late_rows: u64,
    pub undecodable: u64,
}

/// A sink table of a case.
#[derive(Debug, Clone)]
pub struct Table {
    pub schema: SchemaRef,
    landed: Landed,
}

impl Table {
    /// True if nothing of it can be compared.
    pub fn keeps_nothing(&self) -> bool {
        matches!(self.landed, Landed::Nothing)
    }

    /// True if what was written cannot tell a null from an empty text.
    pub fn empty_is_null(&self) -> bool {
        matches!(&self.landed, Landed::Files(files) if files.empty_is_null())
    }

    pub fn columns(&self) -> Vec<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    /// Reads what a run wrote, and makes room for the next one's.
    fn take(&self) -> Result<Vec<RecordBatch>, CaseError> {
        match &self.landed {
            Landed::Files(files) => {
                let rows = files.read()?;
                if files.folder.is_dir() {
                    std::fs::remove_dir_all(&files.folder).map_err(|e| io(&files.folder, e))?;
                }
                Ok(rows)
            }
            Landed::Memory(capture) => Ok(capture.take()),
            Landed::Nothing => Ok(Vec::new()),
        }
    }
}

/// A case that can be run.
pub struct Prepared<'a> {
    case: &'a Case,
    job: Arc<Job>,
    order: Arc<NextOrder>,
    pub tables: BTreeMap<String, Table>,
}

impl<'a> Prepared<'a> {
    /// Plans the script, to write below `scratch`, an empty folder.
    ///
    /// # Errors
    /// [`CaseError::Refused`] if the script is.
    pub fn new(case: &'a Case, scratch: &Path) -> Result<Self, CaseError> {
        let file = SourceFile {
            name: case.query.display().to_string().into(),
            text: case.script.as_str().into(),
        };
        let refused = |errors: Vec<Diagnostic>| refused(&errors, &file);
        let env = |name: &str| placeholder(&case.script, name);
        let script = crate::sql::parse(&file, &env).map_err(refused)?;
        let order = Arc::new(NextOrder::default());
        let connectors = Rc::new(CaseConnectors::new(
            case.folder.join("tables"),
            &case.input,
            &order,
            scratch,
        ));
        let planned = crate::planning::plan(
            &script,
            BTreeMap::new(),
            Rc::clone(&connectors) as Rc<dyn crate::planning::catalog::Connectors>,
        );
        let mut job = planned.map_err(refused)?.job;
        if let Some(message) = connectors.unread() {
            return Err(CaseError::Format(format!("{}: {message}", case.folder.display())));
        }
        if case.arrival.is_empty() {
            // Nothing is meant to be idle, however slow the machine.
            job.scans.iter_mut().for_each(|scan| scan.idle_timeout = None);
        }
        let landed = connectors.landed.borrow();
        // What goes beside a query's own tables is compared where it is expected.
        let sides = [job.dead_letters, job.late_rows.as_ref().map(|late| late.output)];
        let expected = |name: &String| case.expected.tables.contains_key(name);
        let outputs = job.outputs.iter().enumerate();
        let outputs = outputs.filter(|(i, o)| !sides.contains(&Some(*i)) || expected(&o.table));
        let outputs = outputs.map(|(_, output)| output);
        let tables = outputs.map(|output| {
            let landed = landed.get(&output.table).cloned().unwrap_or(Landed::Nothing);
            (output.table.clone(), Table { schema: Arc::clone(&output.schema), landed })
        });
        let tables = tables.collect();
        Ok(Self { case, job: Arc::new(job), order, tables })
    }

    /// Runs the script once.
    pub fn run(&self, variation: Variation, stop: &StopSignal) -> Result<Written, CaseError> {
        let state = scratch()?;
        let mut options = RunOptions {
            workers: variation.workers,
            batch_size: variation.batch_size,
            checkpoints: Checkpoints::default(),
            on_data_loss: OnDataLoss::default(),
            kafka_client: KafkaClient::default(),
            memory: variation.on_disk.then(|| MemoryOptions {
                limit: u64::MAX,
                share: 0,
                folder: state.path().into(),
            }),
            clock: Arc::new(SystemClock),
            run_id: "case".to_owned(),
            ends_at: None,
        };
        let restarts = if self.case.arrival.is_empty() { variation.restarts } else { 0 };
        if restarts > 0 {
            let identity = Identity::default();
            let location = Location::Local(state.path().to_owned());
            options.checkpoints.state = Some(StateOptions { location, identity });
        }
        let files = self.tables.values().all(|table| matches!(table.landed, Landed::Files(_)));
        let mut crashes = engine::STEPS.iter();
        if variation.crashes && files && self.case.arrival.is_empty() {
            let identity = Identity::default();
            let location = Location::Local(state.path().to_owned());
            options.checkpoints.state = Some(StateOptions { location, identity });
            options.checkpoints.interval = Some(Duration::from_millis(1));
            options.ends_at = crashes.next().copied();
        }
        let mut left = restarts;
        let (ended, status) = loop {
            let own = StopSignal::default();
            let stop = if left > 0 { &own } else { stop };
            options.clock =
                self.arrange(variation.seed, (left > 0).then(|| (restarts, own.clone())));
            let status = Arc::new(Status::default());
            let ended = engine::run(Arc::clone(&self.job), &options, &status, stop);
            match ended {
                Ok(Ended::Stopped) if left > 0 => left -= 1,
                Err(EngineError::Ended { .. }) => options.ends_at = crashes.next().copied(),
                ended => break (ended, status),
            }
        };
        let tables = self.tables.iter();
        let tables = tables.map(|(name, table)| Ok((name.clone(), table.take()?)));
        let tables = tables.collect::<Result<_, CaseError>>()?;
        match ended {
            Err(error) => Err(CaseError::Refused(failed(&error))),
            Ok(Ended::Stopped) => Err(CaseError::Stopped),
            Ok(Ended::Finished | Ended::AlreadyFinished) => Ok(Written {
                tables,
                late_rows: status.late_rows.load(Ordering::Relaxed),
                undecodable: status.decode_errors.load(Ordering::Relaxed),
            }),
        }
    }

    /// How many messages come between two restarts.
    fn part(&self, restarts: u32) -> i64 {
        let topics = self.case.input.values();
        let all = topics.flat_map(|topic| topic.values()).map(Vec::len).sum::<usize>();
        i64::try_from(all).unwrap_or(i64::MAX) / (i64::from(restarts) + 1)
    }

    /// Sets the order in which the next run's messages come; gives its clock.
    fn arrange(&self, seed: u64, interrupted: Option<(u32, StopSignal)>) -> Arc<dyn Clock> {
        if self.case.arrival.is_empty() {
            self.order.set(match interrupted {
                None => Order::Mixed(seed),
                Some((restarts, stop)) => {
                    let interruption =
                        Interruption::after(self.part(restarts), move || stop.stop());
                    Order::Interrupted { seed, interruption: Arc::new(interruption) }
                }
            });
            return Arc::new(SystemClock);
        }
        let clock = Arc::new(ManualClock::at(SystemClock.now_ms()));
        let steps = self.case.arrival.clone();
        let arrival = Arrival::new(steps, Arc::clone(&clock));
        self.order.set(Order::Arranged(Arc::new(arrival)));
        clock
    }
}

/// The value of an environment variable: its own name where the script gives it
/// no default.
fn placeholder(script: &str, name: &str) -> Option<String> {
    script.contains(&format!("${{{name}}}")).then(|| name.to_owned())
}

fn refused(errors: &[Diagnostic], file: &SourceFile) -> CaseError {
    let texts: Vec<String> = errors.iter().map(|e| e.render(file)).collect();
    let span = errors.iter().find_map(|e| e.span);
    let line = span.map(|span| 1 + file.text[..span.start].matches('\n').count());
    CaseError::Refused(Refusal { text: texts.join("\n"), line })
}

fn failed(error: &EngineError) -> Refusal {
    Refusal { text: format!("error: {error}"), line: None }
}

/// Runs the case's script once, in `scratch`, and reads back what it wrote.
pub fn rows(case: &Case, variation: Variation, scratch: &Path) -> Result<Written, CaseError> {
    Prepared::new(case, scratch)?.run(variation, &StopSignal::default())
}

/// A folder for what cases write: in memory where the system has such a place,
/// because files are synced one by one.
pub fn scratch() -> Result<tempfile::TempDir, CaseError> {
    const IN_MEMORY: &str = "/dev/shm";
    let mut builder = tempfile::Builder::new();
    builder.prefix("turnstile-case-");
    let memory = builder.tempdir_in(IN_MEMORY);
    memory.or_else(|_| builder.tempdir()).map_err(|e| io(Path::new("a temporary folder"), e))
}
