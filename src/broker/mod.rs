//! An in-memory Kafka broker for the demo and the tests.
