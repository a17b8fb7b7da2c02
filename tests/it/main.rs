//! Tests of what a user sees, in one binary: linking DataFusion once is enough.

mod cases;
mod commands;
mod kafka;
mod same_log;
mod support;
