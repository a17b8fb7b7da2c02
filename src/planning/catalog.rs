//! The tables and views of a script.
//!
//! A table that is read becomes a plan: a scan of the columns that the source
//! can give, the computed columns above it, and the mark of its event time.
//! Its options are bound when it is first read, so that a table may be declared
//! for writing only.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column as DfColumn, Result};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{
    Expr, ExprSchemable, Extension, LogicalPlan, LogicalPlanBuilder, TableSource,
};

use super::closed_plan::ClosedRows;
use super::functions::flink_name;
use super::user_functions::UserFunctions;
use super::window::EventTimeNode;
use crate::diagnostics::{Diagnostic, Span};
use crate::options::Options;
use crate::sources::files::{self, FileTable};
use crate::sources::{BoundSource, MetadataKey, SourceTable};
use crate::sql::ast::{ColumnKind, CreateTable};
use crate::types::{Column, FLINK_TYPE};

/// How a table's options become a source or a sink.
pub trait Connectors {
    fn source(
        &self,
        table: &SourceTable<'_>,
        options: Options,
    ) -> std::result::Result<BoundSource, Vec<Diagnostic>>;

    /// A table that is looked up in.
    fn files(
        &self,
        table: &SourceTable<'_>,
        options: Options,
    ) -> std::result::Result<FileTable, Vec<Diagnostic>> {
        files::bind(table, options)
    }

    fn sink(
        &self,
        table: &crate::sinks::SinkTable<'_>,
        options: Options,
    ) -> std::result::Result<Arc<dyn crate::sinks::Sink>, Vec<Diagnostic>>;

    /// The functions written in Rust that a script may declare.
    fn functions(&self) -> UserFunctions {
        UserFunctions::default()
    }
}

/// The connectors that the world sees.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealConnectors;

impl Connectors for RealConnectors {
    fn source(
        &self,
        table: &SourceTable<'_>,
        options: Options,
    ) -> std::result::Result<BoundSource, Vec<Diagnostic>> {
        crate::sources::bind(table, options)
    }

    fn sink(
        &self,
        table: &crate::sinks::SinkTable<'_>,
        options: Options,
    ) -> std::result::Result<Arc<dyn crate::sinks::Sink>, Vec<Diagnostic>> {
        crate::sinks::bind(table, options)
    }
}

/// A column that the source gives, before anything is computed.
#[derive(Debug, Clone)]
pub enum RawColumn {
    /// Index among the table's physical columns.
    Physical(usize),
    Metadata(MetadataKey),
}

/// The watermark, over the raw columns.
#[derive(Debug, Clone)]
pub struct WatermarkPlan {
    pub column: String,
    pub expr: Expr,
    pub event_time: Expr,
    pub text: String,
    pub span: Span,
}

/// A declared table.
#[derive(Debug)]
pub struct Table {
    pub definition: CreateTable,
    /// The physical columns, in the order of the declaration.
    pub physical: Vec<Column>,
    source: RefCell<Option<TableRead>>,
}

/// What a table is when it is read.
#[derive(Debug, Clone)]
pub enum TableRead {
    Stream(Arc<ScanTable>),
    /// A scan of a table of files, with its computed columns.
    Files(Arc<LogicalPlan>),
}

impl TableRead {
    fn plan(&self) -> &LogicalPlan {
        match self {
            TableRead::Stream(scan) => scan.plan(),
            TableRead::Files(plan) => plan,
        }
    }
}

/// A table as it is read.
#[derive(Debug)]
pub struct ScanTable {
    pub name: String,
    pub bound: BoundSource,
    pub raw: Vec<RawColumn>,
    pub raw_schema: SchemaRef,
    pub watermark: Option<WatermarkPlan>,
    plan: LogicalPlan,
}

/// The leaf of every plan: [`ScanTable`]'s raw columns.
#[derive(Debug)]
pub struct ScanSource {
    pub table: String,
    /// Whether the table ends.
    pub bounded: bool,
    schema: SchemaRef,
}

impl ScanSource {
    pub fn schema_width(&self) -> usize {
        self.schema.fields().len()
    }
}

impl TableSource for ScanSource {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// Plans an expression of a declaration over a table's columns.
pub type ExprPlanner<'a> =
    &'a dyn Fn(&crate::sql::ast::Expr, &LogicalPlan) -> std::result::Result<Expr, Diagnostic>;

impl Table {
    pub fn new(definition: CreateTable) -> Self {
        let physical = definition
            .columns
            .iter()
            .filter_map(|column| match &column.kind {
                ColumnKind::Physical(ty) => {
                    Some(Column { name: column.name.value.clone(), ty: ty.clone() })
                }
                _ => None,
            })
            .collect();
        Self { definition, physical, source: RefCell::new(None) }
    }

    pub fn options(&self) -> Options {
        let definition = &self.definition;
        Options::new(definition.name.span, definition.options.iter().cloned())
    }

    /// The columns that can be written: physical and metadata columns that are
    /// not virtual.
    pub fn writable(&self) -> Vec<Column> {
        self.definition
            .columns
            .iter()
            .filter_map(|column| match &column.kind {
                ColumnKind::Physical(ty)
                | ColumnKind::Metadata { ty, is_virtual: false, .. } => {
                    Some(Column { name: column.name.value.clone(), ty: ty.clone() })
                }
                _ => None,
            })
            .collect()
    }

    /// Binds the table for reading, the first time; afterwards the same again.
    pub fn read(
        &self,
        connectors: &dyn Connectors,
        time_zone: &str,
        plan_expr: ExprPlanner<'_>,
    ) -> std::result::Result<TableRead, Vec<Diagnostic>> {
        if let Some(source) = &*self.source.borrow() {
            return Ok(source.clone());
        }
        let read = if files::are_files(&self.options()) {
            let plan = self.bind_files(connectors, time_zone, plan_expr)?;
            TableRead::Files(Arc::new(plan))
        } else {
            TableRead::Stream(Arc::new(self.bind(connectors, time_zone, plan_expr)?))
        };
        self.source.replace(Some(read.clone()));
        Ok(read)
    }

    /// The plan of a table of files.
    fn bind_files(
        &self,
        connectors: &dyn Connectors,
        time_zone: &str,
        plan_expr: ExprPlanner<'_>,
    ) -> std::result::Result<LogicalPlan, Vec<Diagnostic>> {
        let definition = &self.definition;
        let name = &definition.name;
        let unfit = |what: &str, span| {
            let message = format!("a table of files that is read has no {what}");
            vec![Diagnostic::error(message).at(span)]
        };
        if let Some(watermark) = &definition.watermark {
            return Err(unfit("WATERMARK: it is looked up in", watermark.column.span));
        }
        if let Some(by) = definition.partitioned_by.first() {
            return Err(unfit("PARTITIONED BY", by.span));
        }
        for column in &definition.columns {
            if let ColumnKind::Metadata { key, .. } = &column.kind {
                return Err(unfit("METADATA columns", key.span));
            }
        }
        let table = SourceTable {
            name: &name.value,
            name_span: name.span,
            columns: &self.physical,
            time_zone,
        };
        let table = Arc::new(connectors.files(&table, self.options())?);
        let bug = |e: datafusion::error::DataFusionError| {
            vec![Diagnostic::error(e.strip_backtrace()).at(name.span)]
        };
        let source = provider_as_source(Arc::new(ClosedRows::of_files(&table)));
        let scan = LogicalPlanBuilder::scan(name.value.as_str(), source, None)
            .and_then(LogicalPlanBuilder::build)
            .map_err(bug)?;
        let mut errors = Vec::new();
        let computed = self.computed_columns(&scan, plan_expr, &mut errors);
        match errors.is_empty() {
            true if computed.is_empty() => Ok(scan),
            true => self.with_computed(&scan, &computed).map_err(bug),
            false => Err(errors),
        }
    }

    fn bind(
        &self,
        connectors: &dyn Connectors,
        time_zone: &str,
        plan_expr: ExprPlanner<'_>,
    ) -> std::result::Result<ScanTable, Vec<Diagnostic>> {
        let name = &self.definition.name;
        let table = SourceTable {
            name: &name.value,
            name_span: name.span,
            columns: &self.physical,
            time_zone,
        };
        let bound = connectors.source(&table, self.options())?;
        let (raw, raw_schema) = self.raw_columns(&bound, time_zone)?;
        let scan = ScanSource {
            table: name.value.clone(),
            bounded: bound.source.is_bounded(),
            schema: Arc::clone(&raw_schema),
        };
        let bug = |e: datafusion::error::DataFusionError| {
            vec![Diagnostic::error(e.strip_backtrace()).at(name.span)]
        };
        let scan = LogicalPlanBuilder::scan(name.value.as_str(), Arc::new(scan), None)
            .and_then(LogicalPlanBuilder::build)
            .map_err(bug)?;
        let mut errors = Vec::new();
        let computed = self.computed_columns(&scan, plan_expr, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let plan = if computed.is_empty() {
            scan.clone()
        } else {
            self.with_computed(&scan, &computed).map_err(bug)?
        };
        let watermark = self.watermark(&plan, &computed, plan_expr).map_err(|e| vec![e])?;
        let plan = match &watermark {
            Some(watermark) => LogicalPlan::Extension(Extension {
                node: Arc::new(EventTimeNode { input: plan, column: watermark.column.clone() }),
            }),
            None => plan,
        };
        Ok(ScanTable { name: name.value.clone(), bound, raw, raw_schema, watermark, plan })
    }

    /// Physical and metadata columns in the order of the declaration.
    fn raw_columns(
        &self,
        bound: &BoundSource,
        time_zone: &str,
    ) -> std::result::Result<(Vec<RawColumn>, SchemaRef), Vec<Diagnostic>> {
        let mut raw = Vec::new();
        let mut fields: Vec<Field> = Vec::new();
        let mut errors = Vec::new();
        let mut physical = 0;
        for column in &self.definition.columns {
            match &column.kind {
                ColumnKind::Physical(ty) => {
                    raw.push(RawColumn::Physical(physical));
                    physical += 1;
                    // A bad field of a tolerated message is NULL whatever the declaration says.
                    fields.push(ty.to_field(&column.name.value, time_zone).with_nullable(true));
                }
                ColumnKind::Metadata { ty, ty_span, key, .. } => {
                    let offered = bound.metadata.iter().find(|(name, ..)| *name == key.value);
                    let Some((_, metadata, natural)) = offered else {
                        let names = bound.metadata.iter().map(|(name, ..)| *name);
                        let known: Vec<_> = names.clone().collect();
                        let message = format!("unknown metadata key `{}`", key.value);
                        let offers = match known.as_slice() {
                            [] => "no metadata".to_owned(),
                            keys => keys.join(", "),
                        };
                        errors.push(
                            Diagnostic::error(message)
                                .at(key.span)
                                .label(format!("connector `{}` has {offers}", bound.connector))
                                .did_you_mean(&key.value, names),
                        );
                        continue;
                    };
                    let natural = natural.ty.to_arrow(time_zone);
                    let declared = ty.ty.to_arrow(time_zone);
                    if declared.is_nested() != natural.is_nested()
                        || !arrow::compute::can_cast_types(&natural, &declared)
                    {
                        let message =
                            format!("metadata `{}` cannot be read as {}", key.value, ty.ty);
                        errors.push(Diagnostic::error(message).at(*ty_span));
                    }
                    raw.push(RawColumn::Metadata(*metadata));
                    fields.push(ty.to_field(&column.name.value, time_zone).with_nullable(true));
                }
                ColumnKind::Computed(_) => {}
            }
        }
        if errors.is_empty() { Ok((raw, Arc::new(Schema::new(fields)))) } else { Err(errors) }
    }

    fn computed_columns(
        &self,
        scan: &LogicalPlan,
        plan_expr: ExprPlanner<'_>,
        errors: &mut Vec<Diagnostic>,
    ) -> BTreeMap<String, Expr> {
        let mut computed = BTreeMap::new();
        for column in &self.definition.columns {
            if let ColumnKind::Computed(expr) = &column.kind {
                match plan_expr(expr, scan) {
                    Ok(planned) => {
                        computed.insert(column.name.value.clone(), planned);
                    }
                    Err(error) => errors.push(error),
                }
            }
        }
        computed
    }

    fn with_computed(
        &self,
        scan: &LogicalPlan,
        computed: &BTreeMap<String, Expr>,
    ) -> Result<LogicalPlan> {
        let relation = self.definition.name.value.as_str();
        let exprs = self.definition.columns.iter().map(|column| {
            let name = &column.name.value;
            match computed.get(name) {
                Some(expr) => expr.clone().alias_qualified(Some(relation), name),
                None => Expr::Column(DfColumn::new(Some(relation), name)),
            }
        });
        LogicalPlanBuilder::from(scan.clone()).project(exprs.collect::<Vec<_>>())?.build()
    }

    fn watermark(
        &self,
        plan: &LogicalPlan,
        computed: &BTreeMap<String, Expr>,
        plan_expr: ExprPlanner<'_>,
    ) -> std::result::Result<Option<WatermarkPlan>, Diagnostic> {
        let Some(watermark) = &self.definition.watermark else { return Ok(None) };
        let column = &watermark.column;
        let schema = plan.schema();
        let Some(index) = schema.index_of_column_by_name(None, &column.value) else {
            let names = self.definition.columns.iter().map(|c| c.name.value.as_str());
            let message = format!("unknown column `{}`", column.value);
            return Err(Diagnostic::error(message)
                .at(column.span)
                .label(format!("not a column of `{}`", self.definition.name.value))
                .did_you_mean(&column.value, names));
        };
        event_time_type(schema.field(index)).map_err(|message| {
            Diagnostic::error(message).at(column.span).hint(
                "declare the column as TIMESTAMP(3), or compute one: \
                 `ts AS TO_TIMESTAMP(text)`",
            )
        })?;
        let expr = plan_expr(&watermark.expr, plan)?;
        let ty = expr
            .get_type(schema)
            .map_err(|e| Diagnostic::error(e.strip_backtrace()).at(watermark.expr.span))?;
        if !matches!(ty, DataType::Timestamp(..)) {
            return Err(Diagnostic::error("a watermark must be a timestamp")
                .at(watermark.expr.span)
                .label(format!("this is {}", flink_name(&ty))));
        }
        let event_time = Expr::Column(DfColumn::from_name(&column.value));
        let inline = |expr: Expr| {
            expr.transform(|e| {
                Ok(match &e {
                    Expr::Column(c) => match computed.get(&c.name) {
                        Some(expr) => Transformed::yes(expr.clone()),
                        None => Transformed::yes(Expr::Column(DfColumn::from_name(&c.name))),
                    },
                    _ => Transformed::no(e),
                })
            })
            .map(|t| unqualified(t.data))
            .map_err(|e| Diagnostic::error(e.strip_backtrace()).at(watermark.expr.span))
        };
        Ok(Some(WatermarkPlan {
            column: column.value.clone(),
            expr: inline(expr)?,
            event_time: inline(event_time)?,
            text: watermark.expr.ast.to_string(),
            span: watermark.expr.span,
        }))
    }
}

/// The expression with columns named alone, as the scan's schema has them.
fn unqualified(expr: Expr) -> Expr {
    expr.transform(|e| {
        Ok(match &e {
            Expr::Column(c) => Transformed::yes(Expr::Column(DfColumn::from_name(&c.name))),
            _ => Transformed::no(e),
        })
    })
    .map(|t| t.data)
    .expect("renaming columns cannot fail")
}

/// A time attribute is TIMESTAMP(p) or TIMESTAMP_LTZ(p) with p up to 3.
fn event_time_type(field: &Field) -> std::result::Result<(), String> {
    let DataType::Timestamp(..) = field.data_type() else {
        let ty = field.metadata().get(FLINK_TYPE).cloned();
        let ty = ty.unwrap_or_else(|| flink_name(field.data_type()));
        return Err(format!("event time must be a timestamp, `{}` is {ty}", field.name()));
    };
    let declared = field.metadata().get(FLINK_TYPE).map(String::as_str).unwrap_or_default();
    let precision =
        declared.split(['(', ')']).nth(1).and_then(|p| p.parse::<u8>().ok()).unwrap_or(3);
    if precision > 3 {
        return Err(format!(
            "event time has a precision of at most 3, `{}` is {declared}",
            field.name()
        ));
    }
    Ok(())
}

impl ScanTable {
    pub fn plan(&self) -> &LogicalPlan {
        &self.plan
    }
}

#[derive(Debug)]
pub enum Entry {
    Table(Rc<Table>),
    View(LogicalPlan),
}

/// Everything the script has declared so far.
#[derive(Default)]
pub struct Catalog {
    entries: BTreeMap<String, Entry>,
    /// What reading a table found wrong with its declaration, to be shown
    /// instead of DataFusion's own words.
    errors: RefCell<Option<Vec<Diagnostic>>>,
    /// Views whose queries are at fault, which has been told.
    faulty: BTreeSet<String>,
    reader: Option<Reader>,
}

/// Binds tables that are read; set by the planner.
pub type Reader = Box<dyn Fn(&Table) -> std::result::Result<TableRead, Vec<Diagnostic>>>;

impl std::fmt::Debug for Catalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(&self.entries).finish()
    }
}

impl Catalog {
    pub fn set_reader(&mut self, reader: Reader) {
        self.reader = Some(reader);
    }

    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    pub fn insert(&mut self, name: String, entry: Entry) {
        self.entries.insert(name, entry);
    }

    pub fn remove(&mut self, name: &str) -> Option<Entry> {
        self.entries.remove(name)
    }

    pub fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    /// Notes that `name` cannot be read, and that this has been told.
    pub fn insert_faulty(&mut self, name: String) {
        self.faulty.insert(name);
    }

    /// What reading tables found wrong since this was last asked.
    pub fn take_errors(&self) -> Option<Vec<Diagnostic>> {
        self.errors.take()
    }

    /// The plan that stands for a table or view when it is read.
    pub fn plan_of(&self, name: &str) -> Result<Option<LogicalPlan>> {
        let errors = match self.entries.get(name) {
            None if self.faulty.contains(name) => Vec::new(),
            None => return Ok(None),
            Some(Entry::View(plan)) => return Ok(Some(plan.clone())),
            Some(Entry::Table(table)) => match self.read(table) {
                Ok(read) => return Ok(Some(read.plan().clone())),
                Err(errors) => errors,
            },
        };
        self.errors.borrow_mut().get_or_insert_default().extend(errors);
        datafusion::common::plan_err!("table `{name}` cannot be read")
    }

    /// The table as it is read.
    fn read(&self, table: &Table) -> std::result::Result<TableRead, Vec<Diagnostic>> {
        let reader = self.reader.as_ref().expect("the planner sets a reader first");
        reader(table)
    }

    pub fn scan_named(&self, name: &str) -> Option<Arc<ScanTable>> {
        match self.entries.get(name)? {
            Entry::Table(table) => match self.read(table).ok()? {
                TableRead::Stream(scan) => Some(scan),
                TableRead::Files(_) => None,
            },
            Entry::View(_) => None,
        }
    }
}
