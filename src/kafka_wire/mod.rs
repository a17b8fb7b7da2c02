//! Kafka's primitive types on the wire: [`Reader`] takes them off a frame,
//! [`Writer`] puts them into a reply.
//!
//! Both know whether the message is of a flexible version (compact lengths,
//! tagged fields), so a handler names its fields once for both encodings.
//!
//! Invariant: nothing here panics, whatever the bytes; a frame that ends early
//! or lies about a length is [`Malformed`].

mod reader;
mod writer;

pub use reader::Reader;
pub use writer::{Reply, Writer, put_varint};

use thiserror::Error;

/// Why a frame cannot be read. The connection that sent it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    #[error("the frame ends before its fields do")]
    TooShort,
    #[error("a length below zero, or beyond what may be sent")]
    Length,
    #[error("a string is not UTF-8")]
    NotUtf8,
    #[error("a field that must not be null is null")]
    Null,
    #[error("a variable-length integer does not end")]
    Varint,
}
