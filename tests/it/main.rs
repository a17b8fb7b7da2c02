//! Tests of what a user sees, in one binary: linking DataFusion once is enough.

// A test fails by panicking, and says aloud what it skips.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod beyond_memory;
mod cases;
mod chaos;
mod clients;
mod commands;
mod diagnostics;
mod failpoints;
mod golden;
mod kafka;
mod killed;
mod lake;
mod made_anew;
mod preview;
mod produce;
mod row_by_row;
mod s3;
mod same_log;
mod settings;
mod stored;
mod support;
