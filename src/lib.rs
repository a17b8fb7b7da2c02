//! turnstile runs a Flink SQL file over Kafka topics and lands the result in a
//! data lake.
//!
//! The folders are the way of a row, and imports go down only:
//!
//! ```text
//! cli
//! cases
//! engine
//! planning
//! sql | sources | sinks | checkpoint
//! formats
//! times | types | options | diagnostics | clock | kafka_client | kafka_wire | store
//! ```
//!
//! `broker` stands apart: the in-memory Kafka broker of the demo and the tests.

pub mod broker;
pub mod cases;
mod checkpoint;
pub mod cli;
pub mod clock;
pub mod diagnostics;
pub mod engine;
mod failpoints;
pub mod formats;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod kafka_client;
mod kafka_wire;
pub mod options;
pub mod planning;
pub mod readings;
pub mod sinks;
pub mod sources;
pub mod sql;
mod store;
pub mod times;
pub mod types;
