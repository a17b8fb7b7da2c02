//! CPU time of each step of a job, by query: a change shows where it bites.
//!
//!     cargo bench --bench stages              everything
//!     cargo bench --bench stages -- json      what has `json` in its name
//!
//! Each query of `benches/peers` runs on one worker over 200,000 messages of the
//! embedded broker, as the engine runs it, and the engine itself says how long its
//! threads worked on each step.

// A tool at the command line.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use turnstile::broker::{EmbeddedBroker, Record};
use turnstile::clock::SystemClock;
use turnstile::diagnostics::SourceFile;
use turnstile::engine::profile::Step;
use turnstile::engine::{Checkpoints, RunOptions, Status, StopSignal};
use turnstile::planning::catalog::RealConnectors;
use turnstile::planning::pipeline::Job;
use turnstile::planning::plan;
use turnstile::readings::Readings;
use turnstile::sources::{KafkaClient, OnDataLoss};

const MESSAGES: usize = 200_000;
/// A batch of the log holds so many.
const MESSAGES_PER_BATCH: usize = 2000;

/// Name, script, topic.
const QUERIES: [(&str, &str, &str); 4] = [
    ("json, tumble", include_str!("peers/sql/tumble.sql"), "bids"),
    ("json, hop", include_str!("peers/sql/hop.sql"), "bids"),
    ("json, filter", include_str!("peers/sql/filter.sql"), "bids"),
    ("csv, tumble", include_str!("peers/sql/5min.sql"), "readings"),
];

const STEPS: [Step; 7] = [
    Step::Fetch,
    Step::Decode,
    Step::EventTime,
    Step::Transform,
    Step::Fold,
    Step::Close,
    Step::Write,
];

fn stages(criterion: &mut Criterion) {
    let broker = broker();
    let out = tempfile::tempdir().unwrap();
    for (name, script, topic) in QUERIES {
        let job = Arc::new(job(script, topic, &broker.address(), out.path()));
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10).warm_up_time(Duration::from_millis(100));
        group.throughput(Throughput::Elements(MESSAGES as u64));
        for step in STEPS {
            group.bench_function(step.name(), |bencher| {
                bencher.iter_custom(|times| (0..times).map(|_| time(&job, step)).sum());
            });
        }
        group.finish();
    }
}

/// Runs the job and tells what one step took.
fn time(job: &Arc<Job>, step: Step) -> Duration {
    let options = RunOptions {
        workers: 1,
        batch_size: 8192,
        checkpoints: Checkpoints::default(),
        on_data_loss: OnDataLoss::default(),
        kafka_client: KafkaClient::default(),
        memory: None,
        clock: Arc::new(SystemClock),
        run_id: "bench".to_owned(),
        ends_at: None,
    };
    let status = Arc::new(Status::default());
    turnstile::engine::run(Arc::clone(job), &options, &status, &StopSignal::default()).unwrap();
    black_box(&status).profile.of(step)
}

fn job(script: &str, topic: &str, brokers: &str, out: &Path) -> Job {
    let env = |name: &str| match name {
        "TOPIC" => Some(topic.to_owned()),
        "BROKERS" => Some(brokers.to_owned()),
        "OUT" => Some(out.display().to_string()),
        _ => None,
    };
    let file = SourceFile { name: "bench.sql".into(), text: script.into() };
    let script = turnstile::sql::parse(&file, &env).unwrap();
    plan(&script, BTreeMap::new(), Rc::new(RealConnectors)).unwrap().job
}

fn broker() -> EmbeddedBroker {
    let broker = EmbeddedBroker::start().unwrap();
    let mut random = StdRng::seed_from_u64(1);
    fill(&broker, "bids", |i, line, _| bid(i, &mut random, line));
    let mut readings = Readings::new(1);
    fill(&broker, "readings", |_, line, id| readings.next(line, id));
    broker
}

fn fill(
    broker: &EmbeddedBroker,
    topic: &str,
    mut next: impl FnMut(usize, &mut Vec<u8>, &mut Vec<u8>),
) {
    broker.create_topic(topic, 2).unwrap();
    for batch in 0..MESSAGES / MESSAGES_PER_BATCH {
        let mut record = |i: usize| {
            let (mut line, mut id) = (Vec::new(), Vec::new());
            next(batch * MESSAGES_PER_BATCH + i, &mut line, &mut id);
            Record { value: Some(line), ..Record::default() }
        };
        let records: Vec<Record> = (0..MESSAGES_PER_BATCH).map(&mut record).collect();
        broker.append(topic, (batch % 2) as i32, &records).unwrap();
    }
}

/// A bid as those of `examples/bids.rs`, but for its channel and hash.
fn bid(i: usize, random: &mut StdRng, line: &mut Vec<u8>) {
    const FIRST_MS: i64 = 1_767_225_600_000;
    let at = FIRST_MS + i as i64 / 10 - random.random_range(0..2_000);
    let at = chrono::DateTime::from_timestamp_millis(at).unwrap();
    let auction: u32 = random.random_range(0..10_000);
    let (bidder, price) =
        (random.random_range(0..100_000), random.random_range(100..10_000_000));
    write!(
        line,
        "{{\"auction\":{auction},\"bidder\":{bidder},\"price\":{price},\"channel\":\"Baidu\",\
         \"url\":\"https://www.example.com/item/{auction}/view?id={bidder}\",\
         \"dateTime\":\"{}\",\"extra\":\"{i:030x}\"}}",
        at.format("%Y-%m-%d %H:%M:%S%.3f"),
    )
    .unwrap();
}

criterion_group!(benches, stages);
criterion_main!(benches);
