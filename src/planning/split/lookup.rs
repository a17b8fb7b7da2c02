//! Joins of rows with what a table holds.

use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{self as logical, Expr, LogicalPlan};

use super::join::joined;
use super::{Closed, Operator, Rel, Result, Splitter, Stream, arrow_schema, refused};
use crate::planning::closed_plan::{ClosedPlan, ClosedRows};
use crate::planning::keyed_rows::KeyedRows;
use crate::planning::pipeline::{Lookup, Op};
use crate::sources::files::FileTable;

/// The tables of files that `plan` reads.
fn tables(plan: &LogicalPlan) -> Result<Vec<Arc<FileTable>>> {
    let mut tables = Vec::new();
    plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            tables.extend(ClosedRows::files_of(scan).map(Arc::clone));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(tables)
}

impl Splitter<'_> {
    /// A join whose right side is looked up in.
    pub(super) fn lookup_join(&mut self, join: &logical::Join) -> Result<Rel> {
        // Others have been refused as they were written.
        let outer = join.join_type == JoinType::Left;
        if join.on.is_empty() {
            return refused(
                Operator::Join,
                "a join FOR SYSTEM_TIME AS OF needs an equality with the table's columns",
                "write ON a.k = t.k",
            );
        }
        let Rel::Closed(table) = self.plan(&join.right)? else {
            unreachable!("only what reads files alone is marked to be looked up in")
        };
        match self.settled(&join.left)? {
            Rel::Closed(left) => {
                let window = left.window.clone();
                joined(join, left, table, window)
            }
            Rel::Stream(stream) => self.look_up(join, stream, table, outer).map(Rel::Stream),
        }
    }

    fn look_up(
        &mut self,
        join: &logical::Join,
        mut stream: Stream,
        table: Closed,
        outer: bool,
    ) -> Result<Stream> {
        let (left, right): (Vec<Expr>, Vec<Expr>) = join.on.iter().cloned().unzip();
        let keys = self.physical_all(&left, &stream.schema)?;
        let right = self.physical_all(&right, table.plan.schema())?;
        let filter = join.filter.as_ref();
        let filter = filter.map(|filter| self.physical(filter, &join.schema)).transpose()?;
        let files = tables(&table.plan)?;
        let plan = ClosedPlan::try_new(table.plan, Vec::new(), self.state)?;
        let lookup = Arc::new(Lookup {
            files,
            table: KeyedRows::new(plan, right),
            keys,
            filter,
            outer,
            schema: arrow_schema(&join.schema),
        });
        if let Some(window) = &mut stream.window {
            window.note(&left, &stream.schema);
            window.note(join.filter.as_slice(), &join.schema);
        }
        Self::push(&mut stream, || Op::Lookup(Arc::clone(&lookup)));
        stream.schema = Arc::clone(&join.schema);
        Ok(stream)
    }
}
