//! Functions of strings. Positions count characters from 1.

mod build;
mod charsets;
mod coding;
mod printf;
mod regex;
mod sha1;
mod similar;
mod slice;
mod url;

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;

pub(crate) use build::overlay;
pub(crate) use similar::{similar_to, similar_to_each};
pub(crate) use slice::{position, substring};

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    let mut all = slice::all();
    all.extend(build::all());
    all.extend(regex::all());
    all.extend(coding::all());
    all.extend(url::all());
    all.extend(charsets::all());
    all.extend(printf::all());
    all
}

/// The byte at which character `at` begins, or the text's end.
fn byte_of(text: &str, at: usize) -> usize {
    if text.is_ascii() {
        return at.min(text.len());
    }
    text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte)
}

fn length(text: &str) -> i64 {
    let length = if text.is_ascii() { text.len() } else { text.chars().count() };
    length as i64
}
