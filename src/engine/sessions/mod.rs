//! Sessions: rows of one key with no gap between neighbours longer than the
//! window's.
//!
//! Workers do not form sessions. They fold rows into slices as long as the gap:
//! two rows of a key in one slice are always in one session, so a slice keeps
//! per key its first and last time and its partial aggregates, a *piece*.
//! Pieces of all workers meet when time moves on and are stitched where they
//! touch; a session that the watermark has passed goes on to the plan above, the
//! rest waits, merged.
//!
//! A row is *behind* when its split's watermark had already passed it. Only such
//! a row can meet a session that has fired, so it alone stays by itself until
//! [`resolve::resolve`] can say what a Flink that saw the split's rows in order would
//! have done with it: it joins the sessions that it touches and that had not
//! fired then; else it begins one, or is late if that one would have fired too.
//! What comes out depends on the splits' logs alone, not on when pieces met.
//!
//! Source: Flink's `MergingWindowSet` and `SessionWindowAssigner`.

mod held;
mod open;
mod pieces;
mod resolve;
mod waiting;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;

use crate::planning::pipeline::{Leaf, Sessions};

pub use open::OpenSessions;
pub use pieces::SessionShare;
pub use waiting::WaitingSessions;

fn sessions(leaf: &Leaf) -> &Sessions {
    leaf.sessions().expect("only leaves with sessions come here")
}

/// The rows' own wall times in milliseconds.
fn walls<'a>(leaf: &Leaf, batch: &'a RecordBatch) -> impl Iterator<Item = i64> + 'a {
    let column = batch.column(sessions(leaf).time).as_primitive::<TimestampMicrosecondType>();
    column.values().iter().map(|micros| micros.div_euclid(1000))
}

fn index(i: usize) -> u32 {
    u32::try_from(i).expect("fewer pieces than 4 G")
}
