//! A Kafka consumer of our own, for the way that matters: fetched batches go
//! from the socket into one buffer, and the messages handed on are ranges of it.
//! No thread, no queue and no copy lies between the broker and the decoder.
//!
//! It fetches and nothing else: partitions and offsets are found, and offsets
//! committed, by librdkafka. What it does not speak is left to librdkafka
//! altogether; [`settings`] decides.
//!
//! - [`routes`] finds the leaders and connects, on a thread of its own
//! - [`connection`] is a socket, with TLS and SASL
//! - [`fetch`] is the request and the answer
//! - [`batches`] makes messages of record batches
//! - [`reader`] is the loop

pub(crate) mod batches;
pub(crate) mod codecs;
mod connection;
pub(crate) mod fetch;
mod reader;
mod routes;
mod sasl;
mod settings;

pub use reader::NativeReader;
pub use settings::Settings;
