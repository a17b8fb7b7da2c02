//! On a real Kafka, while a producer goes on: processes are killed, and the
//! broker goes away and comes back.

use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;
use rdkafka::producer::{BaseProducer, Producer as _};

use super::log::{ALL, Log, PARTITIONS};
use super::{Job, Place, Tale, in_rounds};
use crate::kafka::{client, fresh_topic, send};
use crate::support::{Kafka, Watcher, entries, python, text};

/// Produces a log to a topic. A broker that is away for a while doubles nothing.
fn produce(address: &str, topic: &str, log: &Log, over: Duration) {
    let mut config = client(address);
    let producer: BaseProducer = config.set("enable.idempotence", "true").create().unwrap();
    log.feed(ALL, over, |partition, messages| {
        for message in messages {
            send(&producer, topic, i32::try_from(partition).unwrap(), message.as_bytes());
        }
        producer.poll(Duration::ZERO);
    });
    // What waits is sent whenever the broker is there again.
    let mut left = 5;
    while let Err(error) = producer.flush(Duration::from_secs(60)) {
        left -= 1;
        assert!(left > 0, "{error}");
    }
}

/// Runs `accidents` on a job beside its producer, and looks at the lake.
fn beside_a_producer(
    kafka: &Kafka,
    rng: &mut StdRng,
    each: usize,
    over: Duration,
    accidents: impl FnOnce(&Job, &mut StdRng) -> Tale,
) -> String {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::new(rng, each);
    let topic = fresh_topic(&kafka.address, "chaos", i32::try_from(PARTITIONS).unwrap());
    let place = Place::local(folder.path().to_path_buf());
    let (lake, state) = (place.join("lake"), place.join("state"));
    let job = Job::new(folder.path(), &log, &kafka.address, &topic, lake, state);
    let watcher = Watcher::start(job.lake.folder.clone());
    let tale = std::thread::scope(|threads| {
        threads.spawn(|| produce(&kafka.address, &topic, &log, over));
        accidents(&job, rng)
    });
    let files = watcher.finish();
    job.compare();
    format!("{tale:?}, {files} files")
}

#[test]
fn a_killed_job_on_a_real_kafka_writes_each_row_once() {
    let (Some(_), Some(kafka)) = (python(), Kafka::get()) else { return };
    in_rounds(|rng| {
        beside_a_producer(&kafka, rng, 10_000, Duration::from_secs(6), |job, rng| {
            Tale::until_the_end(job, rng, Duration::from_millis(2_000), |_| false)
        })
    });
}

/// How a job may stop when its broker is away: it can be gone on with.
fn is_of_the_broker(said: &str) -> bool {
    said.contains("127.0.0.1:")
}

#[test]
fn a_broker_that_goes_away_between_kills_costs_nothing() {
    let (Some(_), Some(kafka)) = (python(), Kafka::get()) else { return };
    in_rounds(|rng| {
        beside_a_producer(&kafka, rng, 8_000, Duration::from_secs(8), |job, rng| {
            let mut running = job.start(2);
            let deadline = Instant::now() + Duration::from_secs(60);
            while entries(&job.lake.folder.join("plain")).len() < 3 {
                if running.ended(Duration::ZERO).is_some() || Instant::now() > deadline {
                    panic!("nothing is written: {}", text(&running.output()));
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            kafka.stop();
            std::thread::sleep(rng.random_range(Duration::ZERO..Duration::from_millis(500)));
            let mut kills = 1;
            if rng.random() {
                running.kill();
                running = job.start(2);
                kills += 1;
            }
            kafka.start();
            running.ended(rng.random_range(Duration::ZERO..Duration::from_secs(1)));
            running.kill();
            let output = running.output();
            let said = text(&output);
            assert!(output.status.code().is_none() || is_of_the_broker(&said), "{said}");
            let mut tale =
                Tale::until_the_end(job, rng, Duration::from_secs(3), is_of_the_broker);
            tale.kills += kills;
            tale
        })
    });
}
