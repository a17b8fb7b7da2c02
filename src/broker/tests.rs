//! The broker against the real client, librdkafka.

mod clients;
mod recovery;
mod round_trips;
mod topics;
mod transactions;
