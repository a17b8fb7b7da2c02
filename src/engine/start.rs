//! How a job begins: sinks, state, sources and workers are opened, in this
//! order, and what an earlier process left is given back.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use crossbeam_channel::{Sender, bounded, unbounded};

use super::commits::Commits;
use super::cut::{Notes, Position};
use super::error::EngineError;
use super::leaves::OpenLeaf;
use super::memory::{Account, MemoryLimit};
use super::outputs::Outputs;
use super::profile::Meter;
use super::resume::{Restoring, Resumed};
use super::scan::Scanner;
use super::stage::StageState;
use super::status::{Status, add};
use super::watermark::ScanWatermark;
use super::worker::{self, Fired, Reader, Told, Worker};
use super::{
    EVENTS_PER_WORKER, Engine, ResumedFrom, RunOptions, ScanState, WorkerHandle, millis, step,
};
use crate::checkpoint::Counters;
use crate::formats::MessageParts;
use crate::planning::pipeline::{Job, Op, ScanColumn};
use crate::sources::{MetadataKey, OpenRequest, Split};

/// Reads what rows are looked up in: a file that cannot be read should cost no
/// reading of others.
fn load_tables(job: &Job) -> Result<(), EngineError> {
    for op in job.branches.iter().flat_map(|branch| &branch.ops) {
        if let Op::Lookup(lookup) = op {
            lookup.table.load()?;
        }
    }
    Ok(())
}

impl Engine {
    pub(super) fn start(
        job: Arc<Job>,
        options: &RunOptions,
        status: Arc<Status>,
    ) -> Result<(Self, Option<ResumedFrom>), EngineError> {
        let workers = options.workers.max(1);
        let clock = &options.clock;
        // Outputs first: a sink that cannot be written to should cost no reading.
        let mut outputs = Outputs::open(&job, clock, &status)?;
        load_tables(&job)?;
        let state = options.checkpoints.state.as_ref();
        let destinations = outputs.destinations();
        let (commits, recovered) =
            Commits::open(state, &options.run_id, destinations, clock, &status.profile)?;
        step(options, "start.recovered")?;
        let resumed_from = recovered.as_ref().map(|recovered| ResumedFrom {
            epoch: recovered.manifest.epoch,
            created_at_ms: recovered.manifest.created_at_ms,
            state: recovered.manifest.state.clone(),
        });
        let resumed = resumed_from.as_ref().map(|from| Resumed::new(&job, &from.state));
        if let Some(resumed) = &resumed {
            resumed.count(&status);
        }
        let now = clock.now_ms();
        let (to_loop, events) = bounded(EVENTS_PER_WORKER * workers);
        let mut readers: Vec<Vec<Reader>> = (0..workers).map(|_| Vec::new()).collect();
        let mut positions: Vec<Vec<Position>> = (0..workers).map(|_| Vec::new()).collect();
        let mut sources = Vec::new();
        let mut scans = Vec::new();
        let mut splits_given = 0;
        for (index, scan) in job.scans.iter().enumerate() {
            let failed = |source| EngineError::Source { table: scan.table.clone(), source };
            let request = open_request(&job, index, resumed.as_ref(), options);
            let mut source = scan.source.open(&request).map_err(failed)?;
            let splits = source.discover().map_err(failed)?;
            let mut watermark = ScanWatermark::new(scan.idle_timeout);
            for split in &splits {
                watermark.add(split.id.clone(), now);
                add(&status.rows_expected, expected(split));
            }
            if let Some(resumed) = &resumed {
                resumed.restore_watermark(index, &mut watermark, now);
            }
            let count = splits.len();
            let mut spread = worker::spread(splits, workers, splits_given);
            splits_given += count;
            for (id, readers) in readers.iter_mut().enumerate() {
                let own = spread.remove(&id).unwrap_or_default();
                // A worker that never gets a split of a bounded scan needs no client for it.
                if own.is_empty() && source.discovery_interval().is_none() {
                    continue;
                }
                positions[id].extend(worker::positions(index, &own));
                let reader = source.reader(own).map_err(failed)?;
                readers.push(Reader { scan: index, reader });
            }
            let discover_at_ms = source.discovery_interval().map(|every| now + millis(every));
            scans.push(ScanState { watermark, discover_at_ms });
            sources.push(source);
        }
        let mut stages: Vec<StageState> =
            (0..job.stages.len()).map(|stage| StageState::new(&job, stage)).collect();
        let mut states: Vec<_> = (0..workers).map(|_| worker::empty_state(&job)).collect();
        let limit = options.memory.clone().map(MemoryLimit::new);
        let account = || limit.clone().map(Account::new);
        let mut accounts: Vec<Option<Account>> = (0..workers).map(|_| account()).collect();
        let memory = account();
        let mut notes = Notes::default();
        if let (Some(resumed), Some(recovered)) = (&resumed, recovered) {
            notes.clone_from(&resumed.notes);
            resumed.restore_stages(&mut stages);
            for leaf in states.iter_mut().flatten().flatten() {
                leaf.number_from(&notes);
            }
            for leaf in stages.iter_mut().flat_map(|stage| &mut stage.own) {
                leaf.number_from(&notes);
            }
            let owner = |split: u64| {
                let owns = |all: &Vec<Position>| all.iter().any(|p| p.split.number() == split);
                positions.iter().position(owns).unwrap_or(0)
            };
            let mut restoring = Restoring {
                job: &job,
                workers: &mut states,
                stages: &mut stages,
                outputs: &mut outputs,
                accounts: &mut accounts,
            };
            restoring.restore(&recovered, &owner)?;
            outputs.go_on(&notes.sinks);
        }
        let fired: Fired =
            Arc::new(stages.iter().map(|stage| AtomicI64::new(stage.fired)).collect());
        let each = readers.into_iter().zip(positions).zip(states).zip(accounts).enumerate();
        let workers = each
            .map(|(id, (((readers, positions), state), memory))| {
                let channel = to_loop.clone();
                let mut scanners: Vec<Scanner> = (0..job.scans.len())
                    .map(|scan| Scanner::new(Arc::clone(&job), scan))
                    .collect();
                if let Some(resumed) = &resumed {
                    resumed.restore_scanners(&mut scanners, &positions);
                }
                let worker = WorkerParts { readers, positions, state, scanners, memory };
                spawn(id, &job, worker, options, &status, channel, Arc::clone(&fired))
            })
            .collect();
        step(options, "start.workers")?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|e| EngineError::Worker(e.to_string()))?;
        let options = options.clone();
        let engine = Self {
            job,
            last_cut_ms: now,
            options,
            meter: Meter::start(Arc::clone(&status.profile)),
            status,
            sources,
            scans,
            workers,
            events,
            stages,
            outputs,
            commits,
            cut: None,
            has_cut: false,
            committing: Vec::new(),
            ending: None,
            is_last_cut_begun: false,
            notes,
            counters: resumed.map(|resumed| resumed.counters).unwrap_or_default(),
            runtime,
            splits_given,
            fired,
            memory,
        };
        Ok((engine, resumed_from))
    }
}

/// What a worker begins with.
struct WorkerParts {
    readers: Vec<Reader>,
    positions: Vec<Position>,
    state: Vec<Vec<OpenLeaf>>,
    scanners: Vec<Scanner>,
    memory: Option<Account>,
}

fn spawn(
    id: usize,
    job: &Arc<Job>,
    parts: WorkerParts,
    options: &RunOptions,
    status: &Arc<Status>,
    events: Sender<Told>,
    fired: Fired,
) -> WorkerHandle {
    let (to_worker, commands) = unbounded();
    let job = Arc::clone(job);
    let status = Arc::clone(status);
    let batch_size = options.batch_size.max(1);
    // A worker that goes on with old state may have nothing to tell for a while.
    let next_firing = worker::next_firing(&job, &parts.state);
    let thread = std::thread::Builder::new()
        .name(format!("worker-{id}"))
        .spawn(move || {
            let WorkerParts { readers, positions, state, scanners, memory } = parts;
            let worker = Worker {
                id,
                job,
                readers,
                scanners,
                batch_size,
                meter: Meter::start(Arc::clone(&status.profile)),
                commands,
                events,
                status,
                state,
                fired,
                positions,
                counters: Counters::default(),
                memory,
                unmeasured: 0,
            };
            worker.run();
        })
        .expect("the system can start a thread");
    WorkerHandle { commands: to_worker, thread: Some(thread), next_firing, open_windows: 0 }
}

fn open_request(
    job: &Job,
    index: usize,
    resumed: Option<&Resumed>,
    options: &RunOptions,
) -> OpenRequest {
    let scan = &job.scans[index];
    let headers = scan.columns.contains(&ScanColumn::Metadata(MetadataKey::Headers));
    OpenRequest {
        parts: MessageParts {
            keys: scan.key.is_some() || job.dead_letters.is_some(),
            headers: headers || job.dead_letters.is_some(),
        },
        projection: scan.row_projection.clone(),
        resume: resumed.map(|resumed| resumed.offsets(index)),
        on_data_loss: options.on_data_loss,
        kafka_client: options.kafka_client,
    }
}

/// Messages between a split's start and stop, if it stops.
fn expected(split: &Split) -> u64 {
    split.stop.map_or(0, |stop| u64::try_from(stop - split.start).unwrap_or(0))
}
