//! Reads a topic to its end and drops every payload: the limit that a query's
//! throughput is held against.
//!
//! `drain BROKERS TOPIC`

// A tool at the command line.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::time::Duration;

use turnstile::diagnostics::{Span, Spanned};
use turnstile::options::Options;
use turnstile::sources::{Data, OpenRequest, SourceTable, bind};
use turnstile::types::{Column, SqlType};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, brokers, topic] = args.as_slice() else { panic!("usage: drain BROKERS TOPIC") };
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
    let mut source = bound.source.open(&OpenRequest::default()).unwrap();
    let splits = source.discover().unwrap();
    let mut open = splits.len();
    let mut reader = source.reader(splits).unwrap();
    let (mut messages, mut bytes) = (0, 0);
    while open > 0 {
        let polled = reader.poll(16_384, Duration::from_millis(100)).unwrap();
        open -= polled.finished.len();
        for (_, data) in polled.data {
            if let Data::Messages(batch) = data {
                messages += batch.len();
                bytes += batch.bytes.len();
            }
        }
    }
    println!("{messages} messages, {bytes} bytes");
}
