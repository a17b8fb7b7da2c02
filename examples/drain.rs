//! Reads a topic to its end and drops every payload: the limit that a query's
//! throughput is held against.
//!
//! `drain BROKERS TOPIC CLIENT [FILE]`: CLIENT is `librdkafka`, by its batch call, or
//! `native`, turnstile's own. With FILE the payloads are kept there, a line each.

// A tool at the command line.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::time::Duration;

use turnstile::diagnostics::{Span, Spanned};
use turnstile::formats::Messages;
use turnstile::options::Options;
use turnstile::sources::{
    Data, KafkaClient, OpenRequest, OpenSource, SourceTable, SplitReader, bind,
};
use turnstile::types::{Column, SqlType};

const USAGE: &str = "usage: drain BROKERS TOPIC librdkafka|native [FILE]";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let ([brokers, topic, client], file) = args.split_first_chunk().expect(USAGE);
    let client = match client.as_str() {
        "librdkafka" => KafkaClient::Librdkafka,
        "native" => KafkaClient::Native,
        _ => panic!("{USAGE}"),
    };
    let mut lines = match file {
        [] => None,
        [file] => Some(BufWriter::with_capacity(1 << 20, File::create(file).unwrap())),
        _ => panic!("{USAGE}"),
    };
    let mut source = open(brokers, topic, client);
    let splits = source.discover().unwrap();
    let open = splits.len();
    let mut reader = source.reader(splits).unwrap();
    let (mut messages, mut bytes) = (0, 0);
    drain(reader.as_mut(), open, |batch| {
        messages += batch.len();
        bytes +=
            batch.payloads.iter().filter_map(|p| p.range()).map(|p| p.len()).sum::<usize>();
        if let Some(lines) = &mut lines {
            for payload in (0..batch.len()).filter_map(|i| batch.payload(i)) {
                lines.write_all(payload).unwrap();
                lines.write_all(b"\n").unwrap();
            }
        }
    });
    if let Some(mut lines) = lines {
        lines.flush().unwrap();
    }
    println!("{messages} messages, {bytes} bytes");
}

fn open(brokers: &str, topic: &str, client: KafkaClient) -> Box<dyn OpenSource> {
    let options = [
        ("connector", "kafka"),
        ("topic", topic),
        ("properties.bootstrap.servers", brokers),
        ("scan.startup.mode", "earliest-offset"),
        ("scan.bounded.mode", "latest-offset"),
        ("format", "raw"),
    ];
    let text = |text: &str| Spanned::new(text.to_owned(), Span::default());
    let pairs = options.map(|(key, value)| (text(key), text(value)));
    let columns = [Column { name: "payload".to_owned(), ty: SqlType::BYTES.nullable() }];
    let table = SourceTable {
        name: "drain",
        name_span: Span::default(),
        columns: &columns,
        time_zone: "UTC",
    };
    let bound = bind(&table, Options::new(Span::default(), pairs)).unwrap();
    bound.source.open(&OpenRequest { kafka_client: client, ..OpenRequest::default() }).unwrap()
}

fn drain(reader: &mut dyn SplitReader, mut open: usize, mut each: impl FnMut(&Messages)) {
    while open > 0 {
        let polled = reader.poll(16_384, Duration::from_millis(100)).unwrap();
        open -= polled.finished.len();
        for (_, data) in &polled.data {
            if let Data::Messages(batch) = data {
                each(batch);
            }
        }
    }
}
