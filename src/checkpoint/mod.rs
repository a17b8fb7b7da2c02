//! Exactly once: what a job commits, and how.

mod protocol;
