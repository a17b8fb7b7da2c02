//! Produces auction bids as JSON, for `benches/peers`.
//!
//! `bids BROKERS TOPIC COUNT [AUCTIONS]`: 10,000 bids a second of event time, up to
//! 2 s out of order; half of them on 100 of 10,000 auctions, or all alike on as many
//! as are asked for.

// A tool at the command line.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::io::Write as _;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

const CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];
/// 2026-01-01 00:00:00 UTC in milliseconds.
const FIRST_MS: i64 = 1_767_225_600_000;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let (brokers, topic, count, auctions) = match args.as_slice() {
        [_, brokers, topic, count] => (brokers, topic, count, None),
        [_, brokers, topic, count, auctions] => (brokers, topic, count, Some(auctions)),
        _ => panic!("usage: bids BROKERS TOPIC COUNT [AUCTIONS]"),
    };
    let count: i64 = count.parse().unwrap();
    let auctions: Option<u32> = auctions.map(|auctions| auctions.parse().unwrap());
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("linger.ms", "50")
        .set("batch.size", "1000000")
        .create()
        .unwrap();
    let mut random = StdRng::seed_from_u64(1);
    let mut line = Vec::new();
    for i in 0..count {
        line.clear();
        let at = FIRST_MS + i / 10 - random.random_range(0..2_000);
        let at = chrono::DateTime::from_timestamp_millis(at).unwrap();
        let auction: u32 = match auctions {
            Some(auctions) => random.random_range(0..auctions),
            None if random.random() => random.random_range(0..100),
            None => random.random_range(0..10_000),
        };
        let (bidder, price) =
            (random.random_range(0..100_000), random.random_range(100..10_000_000));
        let channel = CHANNELS[random.random_range(0..CHANNELS.len())];
        write!(
            line,
            "{{\"auction\":{auction},\"bidder\":{bidder},\"price\":{price},\"channel\":\"{channel}\",\
             \"url\":\"https://www.example.com/item/{auction}/view?id={bidder}\",\
             \"dateTime\":\"{}\",\"extra\":\"{:030x}\"}}",
            at.format("%Y-%m-%d %H:%M:%S%.3f"),
            random.random::<u64>(),
        )
        .unwrap();
        loop {
            let record = BaseRecord::<(), [u8]>::to(topic).payload(&line);
            match producer.send(record) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    producer.poll(Duration::from_millis(5));
                }
                Err((error, _)) => panic!("{error}"),
            }
        }
    }
    producer.flush(Duration::from_secs(120)).unwrap();
    println!("{count} bids");
}
