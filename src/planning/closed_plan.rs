//! The plan above the windows: an ordinary bounded DataFusion plan over the
//! rows of the windows that just closed.
//!
//! All of them run through it in one execution, which is right because the
//! window's columns are in every key. It is built once and fed again.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::sources::files::FileTable;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DFSchemaRef, DataFusionError, Result};
use datafusion::datasource::{DefaultTableSource, provider_as_source};
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::{
    Expr, LogicalPlan, LogicalPlanBuilder, TableScan, TableType, col,
};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, reset_plan_states};
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, collect,
};
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};

/// Rows on their way into a plan: filled before an execution, emptied by it.
pub type Slot = Arc<Mutex<Vec<RecordBatch>>>;

/// A leaf of the plan, which the closed rows of one kind are put into; or a table
/// of files, which is the same in every execution.
#[derive(Debug, Clone)]
pub struct ClosedRows {
    schema: SchemaRef,
    rows: LeafRows,
}

#[derive(Debug, Clone)]
enum LeafRows {
    Slot(Slot),
    Files(Arc<FileTable>),
}

impl ClosedRows {
    /// A leaf that stands in for a node of schema `of`.
    pub fn new(of: &DFSchema) -> Self {
        let fields: Vec<_> = of
            .fields()
            .iter()
            .enumerate()
            .map(|(i, field)| field.as_ref().clone().with_name(format!("c{i}")))
            .collect();
        let schema = Arc::new(arrow::datatypes::Schema::new(fields));
        Self { schema, rows: LeafRows::Slot(Slot::default()) }
    }

    /// The rows of a table of files.
    pub fn of_files(table: &Arc<FileTable>) -> Self {
        let schema = Arc::clone(table.schema());
        Self { schema, rows: LeafRows::Files(Arc::clone(table)) }
    }

    /// The table of files that `scan` reads.
    pub fn files_of(scan: &TableScan) -> Option<&Arc<FileTable>> {
        let source = scan.source.downcast_ref::<DefaultTableSource>()?;
        match &source.table_provider.downcast_ref::<Self>()?.rows {
            LeafRows::Files(table) => Some(table),
            LeafRows::Slot(_) => None,
        }
    }

    /// The columns, named by position.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// A logical plan of schema `of` that reads this leaf.
    pub fn plan(&self, of: &DFSchemaRef) -> Result<LogicalPlan> {
        let source = provider_as_source(Arc::new(self.clone()));
        let exprs = of.iter().enumerate().map(|(i, (qualifier, field))| {
            let column = col(format!("closed.c{i}"));
            match qualifier {
                Some(qualifier) => {
                    column.alias_qualified(Some(qualifier.clone()), field.name())
                }
                None => column.alias(field.name()),
            }
        });
        LogicalPlanBuilder::scan("closed", source, None)?
            .project(exprs.collect::<Vec<_>>())?
            .build()
    }

    fn fill(&self, batches: Vec<RecordBatch>) {
        if let LeafRows::Slot(slot) = &self.rows {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = batches;
        }
    }

    fn drain(&self) -> Result<Vec<RecordBatch>> {
        match &self.rows {
            LeafRows::Slot(slot) => {
                Ok(std::mem::take(&mut *slot.lock().unwrap_or_else(PoisonError::into_inner)))
            }
            LeafRows::Files(table) => {
                let rows = table.rows().map_err(|e| DataFusionError::External(Box::new(e)))?;
                Ok(rows.as_ref().clone())
            }
        }
    }
}

#[async_trait::async_trait]
impl TableProvider for ClosedRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let projection = projection.cloned();
        let schema = match &projection {
            Some(indexes) => Arc::new(self.schema.project(indexes)?),
            None => Arc::clone(&self.schema),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Arc::new(ClosedRowsExec {
            rows: self.clone(),
            projection,
            properties: Arc::new(properties),
        }))
    }
}

#[derive(Debug)]
struct ClosedRowsExec {
    rows: ClosedRows,
    projection: Option<Vec<usize>>,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for ClosedRowsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClosedRows")
    }
}

impl ExecutionPlan for ClosedRowsExec {
    fn name(&self) -> &'static str {
        "ClosedRows"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut batches = self.rows.drain()?;
        if let Some(projection) = &self.projection {
            for batch in &mut batches {
                *batch = batch.project(projection)?;
            }
        }
        let stream = MemoryStream::try_new(batches, self.schema(), None)?;
        Ok(Box::pin(stream))
    }
}

/// A bounded plan over closed windows, ready to run again and again.
pub struct ClosedPlan {
    logical: LogicalPlan,
    physical: Arc<dyn ExecutionPlan>,
    inputs: Vec<ClosedRows>,
    is_row_by_row: bool,
    context: Arc<TaskContext>,
}

impl fmt::Debug for ClosedPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.logical.display_indent())
    }
}

impl ClosedPlan {
    /// Plans `logical`, whose leaves are `inputs`.
    pub fn try_new(
        logical: LogicalPlan,
        inputs: Vec<ClosedRows>,
        state: &SessionState,
    ) -> Result<Self> {
        let planner = DefaultPhysicalPlanner::default();
        let physical =
            futures::executor::block_on(planner.create_physical_plan(&logical, state))?;
        let asks_for_others = logical.exists(|node| {
            use LogicalPlan::{Filter, Projection, SubqueryAlias, TableScan};
            Ok(!matches!(node, Filter(_) | Projection(_) | SubqueryAlias(_) | TableScan(_)))
        })?;
        let (is_row_by_row, context) = (!asks_for_others, state.task_ctx());
        Ok(Self { logical, physical, inputs, is_row_by_row, context })
    }

    pub fn schema(&self) -> SchemaRef {
        self.physical.schema()
    }

    /// The columns that input `input` is fed with.
    pub fn input_schema(&self, input: usize) -> SchemaRef {
        Arc::clone(self.inputs[input].schema())
    }

    /// What `explain` shows.
    pub fn logical(&self) -> &LogicalPlan {
        &self.logical
    }

    /// Whether each row is worked on by itself, whatever the others are.
    pub fn is_row_by_row(&self) -> bool {
        self.inputs.len() == 1 && self.is_row_by_row
    }

    /// Runs the plan over `rows`, one list per input.
    pub async fn run(&self, rows: Vec<Vec<RecordBatch>>) -> Result<Vec<RecordBatch>> {
        assert_eq!(rows.len(), self.inputs.len(), "rows for every input of the plan");
        for (input, batches) in self.inputs.iter().zip(rows) {
            input.fill(batches);
        }
        let plan = reset_plan_states(Arc::clone(&self.physical))?;
        collect(plan, Arc::clone(&self.context)).await
    }
}
