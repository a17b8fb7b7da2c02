//! Messages that tell their loss and their doubling: each has an id of its own.

use std::io::Write as _;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use turnstile::broker::{EmbeddedBroker, Record};

pub const PARTITIONS: usize = 3;
pub const TOPIC: &str = "t";

/// How often a log that is fed grows.
const MEALS: usize = 50;
/// All that there is to feed.
pub const ALL: Range<usize> = 0..MEALS;

pub struct Log(Vec<Vec<String>>);

impl Log {
    /// Messages mostly in order, some late, some that are none.
    pub fn new(rng: &mut StdRng, each: usize) -> Self {
        let partition = |partition| {
            let mut now = 1_700_000_000_000_i64;
            let message = |number| {
                now += rng.random_range(0..40);
                if rng.random_ratio(1, 200) {
                    return format!("no message {number}");
                }
                let furthest = if rng.random_ratio(1, 20) { 20_000 } else { 2_000 };
                let back = rng.random_range(0..furthest);
                let (key, value) = (rng.random_range(0..50), rng.random_range(-100..100));
                format!("{},k{key},{value},{}", partition * 1_000_000 + number, now - back)
            };
            (0..each).map(message).collect()
        };
        Self((0..PARTITIONS).map(partition).collect())
    }

    pub fn messages(&self, partition: usize) -> &[String] {
        &self.0[partition]
    }

    /// All of it as `partition TAB offset TAB message`.
    pub fn write(&self, file: &Path) {
        let mut file = std::io::BufWriter::new(std::fs::File::create(file).unwrap());
        for (partition, messages) in self.0.iter().enumerate() {
            for (offset, message) in messages.iter().enumerate() {
                writeln!(file, "{partition}\t{offset}\t{message}").unwrap();
            }
        }
        file.flush().unwrap();
    }

    /// Hands some of it out, piece by piece, for as long as `over`.
    pub fn feed(
        &self,
        meals: Range<usize>,
        over: Duration,
        mut send: impl FnMut(usize, &[String]),
    ) {
        let most = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let at_once = most.div_ceil(MEALS).max(1);
        let pause = over / u32::try_from(meals.len()).unwrap();
        for meal in meals {
            for (partition, messages) in self.0.iter().enumerate() {
                send(partition, messages.chunks(at_once).nth(meal).unwrap_or_default());
            }
            std::thread::sleep(pause);
        }
    }
}

/// A broker inside this process with an empty topic.
pub fn broker() -> EmbeddedBroker {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic(TOPIC, i32::try_from(PARTITIONS).unwrap()).unwrap();
    broker
}

/// Feeds a broker for as long as `over` beside what is done meanwhile.
pub fn feeding<T>(
    broker: &EmbeddedBroker,
    log: &Log,
    meals: Range<usize>,
    over: Duration,
    meanwhile: impl FnOnce() -> T,
) -> T {
    let append = |partition, messages: &[String]| {
        let value = |message: &String| Some(message.clone().into_bytes());
        let record = |message| Record { value: value(message), ..Record::default() };
        let records: Vec<Record> = messages.iter().map(record).collect();
        broker.append(TOPIC, i32::try_from(partition).unwrap(), &records).unwrap();
    };
    std::thread::scope(|threads| {
        threads.spawn(|| log.feed(meals, over, append));
        meanwhile()
    })
}
