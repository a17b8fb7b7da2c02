//! Faults on order, and how the client gets over them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;

use super::clients::*;
use crate::broker::{Api, EmbeddedBroker, ErrorCode};

#[test]
fn clients_come_back_after_disconnects() {
    let broker = broker_with("bids", 1);
    let producer = TestProducer::new(&broker, &[("enable.idempotence", "true")]);
    let reader = consumer(&broker, &[("enable.partition.eof", "false")]);
    producer.deliver("bids", 0, &["a"]);
    assign(&reader, "bids", 0, Offset::Beginning);
    assert_eq!(text(&next(&reader).unwrap()), "a");

    broker.cut_connections();
    broker.faults().disconnect_next(2);
    broker.faults().disconnect_next_of(Api::Produce, 1);
    assert_eq!(producer.deliver("bids", 0, &["b"]), [1]);
    assert_eq!(text(&next(&reader).unwrap()), "b");
    assert_eq!(broker.faults().pending(), 0);
}

#[test]
fn a_broker_that_refuses_everyone_is_down_until_it_accepts_again() {
    let broker = broker_with("bids", 1);
    let reader = consumer(&broker, &[]);
    reader.fetch_metadata(Some("bids"), PATIENCE).unwrap();
    broker.faults().refuse_connections();
    broker.cut_connections();
    assert!(reader.fetch_metadata(Some("bids"), Duration::from_millis(300)).is_err());
    broker.faults().accept_connections();
    reader.fetch_metadata(Some("bids"), PATIENCE).unwrap();
}

#[test]
fn an_ordered_error_reaches_the_client_and_passes() {
    let broker = broker_with("bids", 1);
    let producer =
        TestProducer::new(&broker, &[("retries", "0"), ("enable.idempotence", "false")]);
    producer.deliver("bids", 0, &["warm"]);
    broker.faults().fail_next(Api::Produce, ErrorCode::InvalidRecord, 1);
    producer.send("bids", 0, "a", 1);
    let refused = producer.outcomes().remove(0).unwrap_err();
    let code = refused.rdkafka_error_code();
    assert_eq!(code, Some(RDKafkaErrorCode::InvalidRecord));
    assert_eq!(producer.deliver("bids", 0, &["b"]), [1]);
}

#[test]
fn a_delayed_answer_is_late() {
    let broker = broker_with("bids", 1);
    let reader = consumer(&broker, &[]);
    reader.fetch_metadata(Some("bids"), PATIENCE).unwrap();
    let delay = Duration::from_millis(200);
    broker.faults().delay_replies(delay);
    let asked = Instant::now();
    reader.fetch_metadata(Some("bids"), PATIENCE).unwrap();
    assert!(asked.elapsed() >= delay);
    broker.faults().clear();
}

#[test]
fn two_brokers_know_nothing_of_each_other() {
    let (one, other) = (broker_with("bids", 1), broker_with("asks", 1));
    assert_ne!(one.address(), other.address());
    one.append("bids", 0, &records(&[("a", 1)])).unwrap();
    other.append("asks", 0, &records(&[("b", 1)])).unwrap();
    let seen = read_all(&consumer(&one, &[]), "bids", 0, Offset::Beginning);
    assert_eq!(payloads(&seen), ["a"]);
    let seen = read_all(&consumer(&other, &[]), "asks", 0, Offset::Beginning);
    assert_eq!(payloads(&seen), ["b"]);
}

#[test]
fn a_dropped_broker_frees_its_port_and_wakes_its_fetches() {
    let broker = broker_with("bids", 1);
    broker.append("bids", 0, &records(&[("a", 1)])).unwrap();
    let reader =
        consumer(&broker, &[("fetch.wait.max.ms", "60000"), ("socket.timeout.ms", "90000")]);
    assign(&reader, "bids", 0, Offset::Beginning);
    assert_eq!(text(&next(&reader).unwrap()), "a");
    let port = broker.shared.port;
    let began = Instant::now();
    drop(broker);
    assert!(began.elapsed() < Duration::from_secs(5));
    let anew = EmbeddedBroker::start_on(port).unwrap();
    assert_eq!(anew.address(), format!("127.0.0.1:{port}"));
}

#[test]
fn a_frame_of_nonsense_closes_the_connection_alone() {
    let broker = broker_with("bids", 1);
    for frame in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 0, 0, 3, 1, 2, 3], &[0xff; 16]] {
        let mut stream = TcpStream::connect(broker.address()).unwrap();
        stream.write_all(frame).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let answered = stream.read(&mut [0; 16]);
        // Closed with bytes unread, a connection ends in a reset.
        assert!(
            matches!(answered, Ok(0))
                || answered.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset)
        );
    }
    consumer(&broker, &[]).fetch_metadata(Some("bids"), PATIENCE).unwrap();
}
