//! The plan above the windows: an ordinary bounded DataFusion plan over the
//! rows of the windows that just closed.
//!
//! All of them run through it in one execution, which is right because the
//! window's columns are in every key. It is built once and fed again.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, DFSchemaRef, Result};
use datafusion::datasource::provider_as_source;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableType, col};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, reset_plan_states};
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties, collect,
};
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};

/// Rows on their way into a plan: filled before an execution, emptied by it.
pub type Slot = Arc<Mutex<Vec<RecordBatch>>>;

/// A leaf of the plan, which the closed rows of one kind are put into.
#[derive(Debug, Clone)]
pub struct ClosedRows {
    schema: SchemaRef,
    slot: Slot,
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
        Self { schema, slot: Slot::default() }
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
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = batches;
    }

    fn drain(&self) -> Vec<RecordBatch> {
        std::mem::take(&mut *self.slot.lock().unwrap_or_else(PoisonError::into_inner))
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
        let mut batches = self.rows.drain();
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
        Ok(Self { logical, physical, inputs, context: state.task_ctx() })
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
