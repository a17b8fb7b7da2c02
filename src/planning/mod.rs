//! From statements to a [`pipeline::Job`].
//!
//! DataFusion plans: SQL to a logical plan, its optimizer, its expressions and
//! aggregate functions. What it does not know, streams, event time and windows,
//! is added as extension nodes, and [`split`] cuts the optimized plan at its
//! windows. No I/O happens here.

mod blame;
mod cast;
pub mod catalog;
mod closed_plan;
mod coercion;
mod context;
mod errors;
mod event_time;
pub mod explain;
pub mod functions;
mod group_window;
mod insert;
mod job;
mod keyed_rows;
mod lookup;
mod merging;
mod not_in;
mod one_row;
pub mod pipeline;
mod relation;
pub mod side_tables;
mod split;
mod time_bounds;
mod unnest;
pub mod user_functions;
pub mod window;
mod words;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNode as _;
use datafusion::common::{DFSchema, DataFusionError};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, ExprSchemable as _, LogicalPlan};
use datafusion::sql::planner::{PlannerContext, SqlToRel};
use datafusion::sql::sqlparser::ast as sql;
use datafusion::sql::sqlparser::ast::Spanned as _;
use datafusion::sql::sqlparser::tokenizer;

use catalog::{Catalog, Connectors, Entry, ScanTable, Table};
use context::{FlinkTypes, PlanContext, session_state};
pub use errors::plain_message;
use functions::Session;
use job::JobBuilder;
use pipeline::{Input, Job, NullEventTime, Output, Target};
use split::{Operator, SplitError, SplitOptions};
use user_functions::DeclaredFunctions;

use crate::diagnostics::{Diagnostic, Span, Spanned};
use crate::options::parse_duration;
use crate::sinks::SinkTable;
use crate::sql::ast::{CreateFunction, Insert, Query, Script, StatementKind};
use crate::times::Zone;

/// `streaming`, the default, or `batch`: inputs that end are read to their end,
/// no row is late, and every operator may look at all rows.
pub const RUNTIME_MODE: &str = "execution.runtime-mode";
/// The session's time zone: how TIMESTAMP_LTZ looks as wall time.
pub const TIME_ZONE: &str = "table.local-time-zone";
/// How long a query without a window remembers a key; `0`, the default, for ever.
pub const STATE_TTL: &str = "table.exec.state.ttl";
pub const PIPELINE_NAME: &str = "pipeline.name";
/// What becomes of rows whose event time is NULL: `FAIL` or `DROP`.
pub const NULL_EVENT_TIME: &str = "table.exec.source.rowtime-null-handling";
/// The idle timeout of every table that has no `scan.watermark.idle-timeout`.
pub const IDLE_TIMEOUT: &str = "table.exec.source.idle-timeout";

/// The meaning of a value of [`NULL_EVENT_TIME`].
pub fn null_event_time(value: &str) -> Option<NullEventTime> {
    match value.to_uppercase().as_str() {
        "FAIL" => Some(NullEventTime::Fail),
        "DROP" => Some(NullEventTime::Drop),
        _ => None,
    }
}

/// A script that can run.
#[derive(Debug)]
pub struct Planned {
    pub job: Job,
    /// What the script's EXPLAIN statements show, in order.
    pub explained: Vec<String>,
    /// The settings as the script left them.
    pub settings: BTreeMap<String, String>,
    pub warnings: Vec<Diagnostic>,
}

/// Plans every INSERT of a script, as one job.
///
/// `settings` is what holds before the script's own SET statements.
///
/// # Errors
/// Every statement that cannot run, each with its place.
pub fn plan(
    script: &Script,
    settings: BTreeMap<String, String>,
    connectors: Rc<dyn Connectors>,
) -> Result<Planned, Vec<Diagnostic>> {
    let mut planner = Planner::new(script, settings, connectors)?;
    for statement in &script.statements {
        planner.statement(&statement.kind, statement.span);
    }
    planner.finish()
}

struct Planner<'a> {
    script: &'a Script,
    connectors: Rc<dyn Connectors>,
    initial: BTreeMap<String, String>,
    settings: BTreeMap<String, String>,
    /// Where the script sets them.
    set_at: BTreeMap<String, Span>,
    state: Rc<SessionState>,
    catalog: Catalog,
    functions: Rc<DeclaredFunctions>,
    job: JobBuilder,
    explained: Vec<String>,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
}

fn time_zone_of(settings: &BTreeMap<String, String>) -> String {
    settings.get(TIME_ZONE).cloned().unwrap_or_else(|| "UTC".to_owned())
}

impl<'a> Planner<'a> {
    fn new(
        script: &'a Script,
        settings: BTreeMap<String, String>,
        connectors: Rc<dyn Connectors>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let time_zone = time_zone_of(&settings);
        if Zone::parse(&time_zone).is_none() {
            let message = format!("unknown time zone `{time_zone}` in `{TIME_ZONE}`");
            return Err(vec![Diagnostic::error(message)]);
        }
        let state = Rc::new(session_state(&Session { time_zone }));
        let mut planner = Self {
            script,
            connectors,
            initial: settings.clone(),
            settings,
            set_at: BTreeMap::new(),
            state,
            catalog: Catalog::default(),
            functions: Rc::default(),
            job: JobBuilder::default(),
            explained: Vec::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
        };
        planner.renew();
        Ok(planner)
    }

    /// Sets the session up anew after a setting changed.
    fn renew(&mut self) {
        let time_zone = time_zone_of(&self.settings);
        let state = Rc::new(session_state(&Session { time_zone: time_zone.clone() }));
        self.state = Rc::clone(&state);
        let connectors = Rc::clone(&self.connectors);
        let script = self.script.clone();
        let declared = Rc::clone(&self.functions);
        self.catalog.set_reader(Box::new(move |table: &Table| {
            let plan_expr = |expr: &crate::sql::ast::Expr, over: &LogicalPlan| {
                plan_expr(expr, over.schema(), &state, &time_zone, &script, &declared)
            };
            table.read(connectors.as_ref(), &time_zone, &plan_expr)
        }));
    }

    fn time_zone(&self) -> String {
        time_zone_of(&self.settings)
    }

    fn statement(&mut self, kind: &StatementKind, span: Span) {
        match kind {
            StatementKind::Set { key, value } => self.set(key, value),
            StatementKind::Reset(None) => {
                self.settings.clone_from(&self.initial);
                self.renew();
            }
            StatementKind::Reset(Some(key)) => {
                match self.initial.get(&key.value) {
                    Some(value) => {
                        self.settings.insert(key.value.clone(), value.clone());
                    }
                    None => {
                        self.settings.remove(&key.value);
                    }
                }
                self.renew();
            }
            StatementKind::CreateTable(table) => {
                let entry = Entry::Table(Rc::new(Table::new(table.clone())));
                self.declare(&table.name, table.if_not_exists, entry);
            }
            StatementKind::CreateView(view) => match self.view(view) {
                Ok(plan) => self.declare(&view.name, view.if_not_exists, Entry::View(plan)),
                Err(errors) => {
                    self.errors.extend(errors);
                    self.catalog.insert_faulty(view.name.value.clone());
                }
            },
            StatementKind::Drop { name, if_exists } => {
                if self.catalog.remove(&name.value).is_none() && !if_exists {
                    let message = format!("`{}` is not declared", name.value);
                    let names = self.catalog.names();
                    let diagnostic = Diagnostic::error(message).at(name.span);
                    self.errors.push(
                        diagnostic.did_you_mean(&name.value, names.iter().map(String::as_str)),
                    );
                }
            }
            StatementKind::Insert(inserts) => self.inserts(inserts),
            StatementKind::Explain(inserts) => {
                // A job of its own, which is not run.
                let running = std::mem::take(&mut self.job);
                self.inserts(inserts);
                let explained = std::mem::replace(&mut self.job, running);
                if self.errors.is_empty() {
                    match self.finished(explained) {
                        Ok(job) => self.explained.push(explain::explain(&job)),
                        Err(errors) => self.errors.extend(errors),
                    }
                }
            }
            StatementKind::CreateFunction(function) => self.create_function(function),
            StatementKind::DropFunction { name, if_exists } => {
                let removed = self.change_functions(|functions| functions.remove(&name.value));
                if !removed && !if_exists {
                    let message = format!("function `{}` is not declared", name.value);
                    self.errors.push(Diagnostic::error(message).at(name.span));
                }
            }
            StatementKind::Query(_) => self.errors.push(
                Diagnostic::error("a query alone has nowhere to write its rows").at(span).hint(
                    "write INSERT INTO a table; one WITH ('connector' = 'print') shows them",
                ),
            ),
        }
    }

    fn create_function(&mut self, function: &CreateFunction) {
        let name = &function.name;
        if self.functions.contains(&name.value) {
            if !function.if_not_exists {
                let message = format!("function `{}` is declared twice", name.value);
                self.errors.push(Diagnostic::error(message).at(name.span));
            }
            return;
        }
        let known = self.connectors.functions();
        let (settings, time_zone) = (self.settings.clone(), self.time_zone());
        let declared = self.change_functions(|functions| {
            functions.declare(&name.value, &function.class, &known, &settings, &time_zone)
        });
        self.errors.extend(declared.err());
    }

    /// Changes what is declared, for what the script reads from here on.
    fn change_functions<T>(&mut self, change: impl FnOnce(&mut DeclaredFunctions) -> T) -> T {
        let mut functions = self.functions.as_ref().clone();
        let result = change(&mut functions);
        self.functions = Rc::new(functions);
        self.renew();
        result
    }

    fn inserts(&mut self, inserts: &[Insert]) {
        for insert in inserts {
            if let Err(errors) = self.insert(insert) {
                self.errors.extend(errors);
            }
        }
    }

    fn set(&mut self, key: &Spanned<String>, value: &Spanned<String>) {
        if key.value == TIME_ZONE && Zone::parse(&value.value).is_none() {
            let diagnostic = Diagnostic::error(format!("unknown time zone `{}`", value.value))
                .at(value.span)
                .hint("use a name such as 'America/New_York', or 'UTC'");
            self.errors.push(diagnostic);
            return;
        }
        self.settings.insert(key.value.clone(), value.value.clone());
        self.set_at.insert(key.value.clone(), value.span);
        if key.value == TIME_ZONE {
            self.renew();
        }
    }

    fn declare(&mut self, name: &Spanned<String>, if_not_exists: bool, entry: Entry) {
        if self.catalog.get(&name.value).is_some() {
            if !if_not_exists {
                let message = format!("`{}` is declared twice", name.value);
                self.errors.push(Diagnostic::error(message).at(name.span));
            }
            return;
        }
        self.catalog.insert(name.value.clone(), entry);
    }

    fn view(&self, view: &crate::sql::ast::CreateView) -> Result<LogicalPlan, Vec<Diagnostic>> {
        let plan = self.query(&view.query)?;
        if view.columns.is_empty() {
            return Ok(plan);
        }
        let width = plan.schema().fields().len();
        if view.columns.len() != width {
            let message =
                format!("the view names {} columns, its query has {width}", view.columns.len());
            return Err(vec![Diagnostic::error(message).at(view.name.span)]);
        }
        let exprs = view.columns.iter().enumerate().map(|(i, name)| {
            let column = datafusion::common::Column::from(plan.schema().qualified_field(i));
            datafusion::logical_expr::Expr::Column(column).alias(&name.value)
        });
        let exprs: Vec<_> = exprs.collect();
        datafusion::logical_expr::LogicalPlanBuilder::from(plan)
            .project(exprs)
            .and_then(datafusion::logical_expr::LogicalPlanBuilder::build)
            .map_err(|e| vec![self.placed(&e, &view.query, Step::Planning)])
    }

    /// The logical plan of a query, not optimized.
    fn query(&self, query: &Query) -> Result<LogicalPlan, Vec<Diagnostic>> {
        let planned = self.logical(query.ast.clone());
        let declared = self.catalog.take_errors();
        match planned {
            Ok(plan) => Ok(plan),
            Err(_) if let Some(declared) = declared => Err(declared),
            Err(Fault::Declaration) => Err(Vec::new()),
            Err(Fault::Misuse(misuse)) => Err(vec![misuse.diagnostic(self.script, query.span)]),
            Err(Fault::Plan(error)) => Err(vec![self.placed(&error, query, Step::Planning)]),
        }
    }

    fn logical(&self, mut ast: Box<sql::Query>) -> Result<LogicalPlan, Fault> {
        let context = PlanContext {
            catalog: &self.catalog,
            state: &self.state,
            relation_planners: vec![
                Arc::new(relation::WindowFunctions),
                Arc::new(unnest::Unnests),
            ],
            type_planner: Arc::new(FlinkTypes { time_zone: self.time_zone() }),
            declared: &self.functions,
        };
        self.functions.expand(&mut *ast)?;
        lookup::rewrite(&mut *ast)?;
        unnest::rewrite(&mut *ast);
        group_window::rewrite(&mut ast);
        functions::syntax::rewrite(&mut *ast)?;
        let plan = SqlToRel::new(&context)
            .sql_statement_to_plan(sql::Statement::Query(ast))
            .and_then(one_row::checked)
            .and_then(not_in::rewrite)
            .and_then(lookup::mark)
            .and_then(|plan| coercion::typed_plan(plan, &self.time_zone()))?;
        Ok(plan)
    }

    /// The diagnostic of `error`, at what in `query` makes it.
    fn placed(&self, error: &DataFusionError, query: &Query, step: Step) -> Diagnostic {
        let diagnostic = errors::diagnostic(error, self.script);
        if diagnostic.span.is_some() {
            return diagnostic;
        }
        let fault_of = |ast: Box<sql::Query>| {
            let mut planned = self.logical(ast);
            self.catalog.take_errors();
            if step == Step::Optimizing {
                planned = planned.and_then(|plan| Ok(self.state.optimize(&plan)?));
            }
            Some(planned.err()?.message())
        };
        let fault = plain_message(error.find_root());
        let place = blame::place(&query.ast, &fault, fault_of);
        diagnostic.or_at(place.and_then(|s| self.script.span(s)).unwrap_or(query.span))
    }

    fn insert(&mut self, insert: &Insert) -> Result<(), Vec<Diagnostic>> {
        let target = &insert.target;
        let table = match self.catalog.get(&target.value) {
            Some(Entry::Table(table)) => Rc::clone(table),
            Some(Entry::View(_)) => {
                let message = format!("`{}` is a view and cannot be written", target.value);
                return Err(vec![Diagnostic::error(message).at(target.span)]);
            }
            None => {
                let names = self.catalog.names();
                let message = format!("table `{}` is not declared in this file", target.value);
                return Err(vec![
                    Diagnostic::error(message)
                        .at(target.span)
                        .did_you_mean(&target.value, names.iter().map(String::as_str)),
                ]);
            }
        };
        let time_zone = self.time_zone();
        let query = self.query(&insert.query)?;
        merging::check(&query).map_err(|error| vec![self.split_error(&error, insert)])?;
        let fitted = insert::fit(insert, query, &table, &time_zone, self.batch(), self.script)
            .map_err(|e| vec![e])?;
        let sink = self.sink(&table, &time_zone)?;
        let optimized = context::optimized(&fitted.plan, &self.state)
            .map_err(|e| vec![self.placed(&e, &insert.query, Step::Optimizing)])?;
        let connector = connector_of(&table);
        let bounded = split::is_bounded(&optimized)
            .map_err(|error| vec![self.split_error(&error, insert)])?;
        if self.batch() && !bounded {
            let message =
                format!("{RUNTIME_MODE} is batch, but the query reads a table without an end");
            return Err(vec![
                Diagnostic::error(message)
                    .at(insert.query.span)
                    .hint("give its table `scan.bounded.mode`"),
            ]);
        }
        // A sink that keeps nothing minds no row being changed.
        let may_wait_for_end =
            bounded && (self.batch() || matches!(connector.as_str(), "print" | "blackhole"));
        let output = self.job.add_output(Output {
            table: target.value.clone(),
            connector,
            sink,
            schema: fitted.schema,
        });
        let state_ttl = self.settings.get(STATE_TTL).and_then(|v| parse_duration(v));
        let state_ttl = state_ttl.filter(|ttl| !ttl.is_zero());
        let options = SplitOptions { may_wait_for_end, state_ttl };
        split::split(&optimized, output, &self.state, options, &mut self.job).map_err(|error| {
            let diagnostic = self.split_error(&error, insert);
            let at_end = bounded && matches!(error, SplitError::Refused { .. });
            let hint = format!("or, as its input ends: SET '{RUNTIME_MODE}' = 'batch'");
            vec![if at_end { diagnostic.hint(hint) } else { diagnostic }]
        })
    }

    /// Whether inputs are read to their end before any result.
    fn batch(&self) -> bool {
        self.settings.get(RUNTIME_MODE).is_some_and(|mode| mode.eq_ignore_ascii_case("batch"))
    }

    fn sink(
        &self,
        table: &Table,
        time_zone: &str,
    ) -> Result<Arc<dyn crate::sinks::Sink>, Vec<Diagnostic>> {
        let columns = table.writable();
        let mut partitioned_by = Vec::new();
        let mut errors = Vec::new();
        for name in &table.definition.partitioned_by {
            match columns.iter().position(|c| c.name == name.value) {
                Some(at) => partitioned_by.push(at),
                None => errors.push(
                    Diagnostic::error(format!("unknown column `{}`", name.value))
                        .at(name.span)
                        .label("in PARTITIONED BY")
                        .did_you_mean(&name.value, columns.iter().map(|c| c.name.as_str())),
                ),
            }
        }
        let sink = SinkTable {
            name: &table.definition.name.value,
            name_span: table.definition.name.span,
            columns: &columns,
            partitioned_by: &partitioned_by,
            time_zone,
        };
        match self.connectors.sink(&sink, table.options()) {
            Ok(sink) if errors.is_empty() => Ok(sink),
            Ok(_) => Err(errors),
            Err(more) => {
                errors.extend(more);
                Err(errors)
            }
        }
    }

    fn split_error(&self, error: &SplitError, insert: &Insert) -> Diagnostic {
        match error {
            SplitError::DataFusion(e) => {
                let value = |expr: &sql::Expr| match expr {
                    sql::Expr::Subquery(_) => ControlFlow::Break(expr.span()),
                    _ => ControlFlow::Continue(()),
                };
                let value = sql::visit_expressions(&insert.query.ast, value).break_value();
                let place = value.and_then(|span| self.script.span(span));
                let place = place.unwrap_or(insert.query.span);
                errors::diagnostic(e, self.script).or_at(place)
            }
            SplitError::Refused { operator, message, hint } => {
                let here = place_of(*operator, &insert.query);
                let place = here.or_else(|| {
                    let views = self.script.statements.iter().filter_map(|s| match &s.kind {
                        StatementKind::CreateView(view) => Some(view),
                        _ => None,
                    });
                    let mut read = views.filter(|view| reads(&insert.query, &view.name.value));
                    read.find_map(|view| place_of(*operator, &view.query))
                });
                let (what, span) = place.unzip();
                let hint = match what {
                    Some("UNION") => "write UNION ALL",
                    Some("INTERSECT" | "EXCEPT") => {
                        "select the rows of a window WHERE … IN or NOT IN those of an equal one"
                    }
                    _ => hint,
                };
                let span = span.and_then(|s| self.script.span(s)).unwrap_or(insert.query.span);
                let message = match what {
                    Some(what) => message.replacen(GROUP_BY, what, 1),
                    None => message.clone(),
                };
                let diagnostic = Diagnostic::error(message).at(span);
                if hint.is_empty() { diagnostic } else { diagnostic.hint(hint) }
            }
        }
    }

    fn finish(mut self) -> Result<Planned, Vec<Diagnostic>> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let job = std::mem::take(&mut self.job);
        let job = self.finished(job)?;
        if job.outputs.is_empty() && self.explained.is_empty() {
            return Err(vec![
                Diagnostic::error("the file has no INSERT, so there is nothing to run")
                    .hint("write INSERT INTO a sink table SELECT … FROM a source table"),
            ]);
        }
        let (settings, warnings) = (self.settings, self.warnings);
        Ok(Planned { job, explained: self.explained, settings, warnings })
    }

    /// A sink that asks for the watermark needs tables that have one.
    fn check_watermarks(&self, job: &Job) -> Result<(), Vec<Diagnostic>> {
        for branch in &job.branches {
            if let (Input::Scan(scan), Target::Output(output)) = (branch.input, branch.target)
                && let (scan, output) = (&job.scans[scan], &job.outputs[output])
                && output.sink.needs_watermark()
                && scan.watermark.is_none()
            {
                let message = format!(
                    "the partitions of `{}` are committed by their time, but `{}`, whose rows it \
                     gets, has no watermark",
                    output.table, scan.table
                );
                let hint = format!("declare WATERMARK FOR a column of `{}`", scan.table);
                let diagnostic = Diagnostic::error(message).hint(hint);
                let declared = self.script.statements.iter().find_map(|s| match &s.kind {
                    StatementKind::CreateTable(table) if table.name.value == scan.table => {
                        Some(table.name.span)
                    }
                    _ => None,
                });
                return Err(vec![match declared {
                    Some(place) => diagnostic.at(place),
                    None => diagnostic,
                }]);
            }
        }
        Ok(())
    }

    /// The job of what has been planned.
    fn finished(&self, job: JobBuilder) -> Result<Job, Vec<Diagnostic>> {
        let time_zone = self.time_zone();
        let name = self.settings.get(PIPELINE_NAME).cloned().unwrap_or_else(|| {
            let file = std::path::Path::new(self.script.file.name.as_ref());
            file.file_stem().map_or("turnstile".into(), |s| s.to_string_lossy().into_owned())
        });
        let batch = self.batch();
        let catalog = &self.catalog;
        let table = |name: &str| -> Arc<ScanTable> {
            catalog.scan_named(name).expect("a table that is read has been bound")
        };
        let null_handling = self.settings.get(NULL_EVENT_TIME).and_then(|v| null_event_time(v));
        let null_handling = null_handling.unwrap_or_default();
        let mut job = job
            .finish(name, time_zone, null_handling, batch, &self.state, table)
            .map_err(|e| vec![errors::diagnostic(&e, self.script)])?;
        let idle_timeout = self.settings.get(IDLE_TIMEOUT).and_then(|v| parse_duration(v));
        for scan in &mut job.scans {
            // Zero turns it off, in either place.
            scan.idle_timeout = scan.idle_timeout.or(idle_timeout).filter(|t| !t.is_zero());
        }
        if !batch {
            self.check_watermarks(&job)?;
        }
        let path = |key: &str| self.settings.get(key).filter(|_| !job.outputs.is_empty());
        let (dead_letters, late_rows) =
            (path(side_tables::DEAD_LETTERS), path(side_tables::LATE_ROWS));
        let placed = |key: &str, errors: Vec<Diagnostic>| match self.set_at.get(key) {
            Some(place) => errors.into_iter().map(|error| error.or_at(*place)).collect(),
            None => errors,
        };
        if let Some(path) = dead_letters {
            side_tables::add_dead_letters(&mut job, path, self.connectors.as_ref())
                .map_err(|errors| placed(side_tables::DEAD_LETTERS, errors))?;
        }
        if let Some(path) = late_rows {
            side_tables::add_late_rows(&mut job, path, self.connectors.as_ref())
                .map_err(|errors| placed(side_tables::LATE_ROWS, errors))?;
        }
        Ok(job)
    }
}

fn connector_of(table: &Table) -> String {
    let options = &table.definition.options;
    let connector = options.iter().find(|(key, _)| key.value == "connector");
    connector.map(|(_, value)| value.value.clone()).unwrap_or_default()
}

/// Plans an expression of a table's declaration.
fn plan_expr(
    expr: &crate::sql::ast::Expr,
    schema: &DFSchema,
    state: &SessionState,
    time_zone: &str,
    script: &Script,
    declared: &DeclaredFunctions,
) -> Result<datafusion::logical_expr::Expr, Diagnostic> {
    let empty = Catalog::default();
    let context = PlanContext {
        catalog: &empty,
        state,
        relation_planners: Vec::new(),
        type_planner: Arc::new(FlinkTypes { time_zone: time_zone.to_owned() }),
        declared,
    };
    let planned = |mut ast: sql::Expr| -> Result<Expr, Fault> {
        declared.expand(&mut ast)?;
        functions::syntax::rewrite(&mut ast)?;
        let expr =
            SqlToRel::new(&context).sql_to_expr(ast, schema, &mut PlannerContext::new())?;
        let is_of_rows = |e: &Expr| {
            use Expr::{AggregateFunction, Exists, InSubquery, ScalarSubquery, WindowFunction};
            let of_rows = matches!(
                e,
                AggregateFunction(_)
                    | WindowFunction(_)
                    | Exists(_)
                    | InSubquery(_)
                    | ScalarSubquery(_)
            );
            Ok(of_rows)
        };
        if expr.exists(is_of_rows)? {
            let message =
                "an aggregate function or a subquery cannot stand in a table's declaration";
            return Err(Fault::Plan(DataFusionError::Plan(message.to_owned())));
        }
        let expr = coercion::typed_expr(expr, schema, time_zone)?;
        expr.get_type(schema)?;
        Ok(expr)
    };
    let expr_or_fault = planned(expr.ast.clone());
    expr_or_fault.map_err(|fault| match fault {
        Fault::Declaration => {
            Diagnostic::error("a function here is not declared").at(expr.span)
        }
        Fault::Misuse(misuse) => misuse.diagnostic(script, expr.span),
        Fault::Plan(error) => {
            let fault = plain_message(error.find_root());
            let place = || {
                let fault_of = |ast| Some(planned(ast).err()?.message());
                blame::place(&expr.ast, &fault, fault_of).and_then(|s| script.span(s))
            };
            let diagnostic = errors::diagnostic(&error, script);
            let place = diagnostic.span.or_else(place).unwrap_or(expr.span);
            diagnostic.at(place)
        }
    })
}

/// What a query has failed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Planning,
    Optimizing,
}

/// Why something cannot be planned.
#[derive(Debug)]
enum Fault {
    Misuse(errors::Misuse),
    Plan(DataFusionError),
    /// A declaration that it needs is at fault, which has been told.
    Declaration,
}

impl Fault {
    fn message(&self) -> String {
        match self {
            Fault::Plan(error) => plain_message(error.find_root()),
            other => format!("{other:?}"),
        }
    }
}

impl From<errors::Misuse> for Fault {
    fn from(misuse: errors::Misuse) -> Self {
        Fault::Misuse(misuse)
    }
}

impl From<Option<errors::Misuse>> for Fault {
    fn from(misuse: Option<errors::Misuse>) -> Self {
        misuse.map_or(Fault::Declaration, Fault::Misuse)
    }
}

impl From<DataFusionError> for Fault {
    fn from(error: DataFusionError) -> Self {
        Fault::Plan(error)
    }
}

/// What a refusal calls an operator that the author may have written otherwise.
const GROUP_BY: &str = "a GROUP BY";

/// What the author calls an operator, and where it stands.
type Place = (&'static str, tokenizer::Span);

/// Where in a query the refused operator stands: the outermost one.
fn place_of(operator: Operator, query: &Query) -> Option<Place> {
    place_in(operator, &query.ast)
}

/// Whether `query` names the table or view `name` anywhere.
fn reads(query: &Query, name: &str) -> bool {
    let named = |table: &sql::ObjectName| match table.0.last().and_then(|part| part.as_ident())
    {
        Some(table) if table.value == name => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    sql::visit_relations(&query.ast, named).is_break()
}

fn place_in(operator: Operator, query: &sql::Query) -> Option<Place> {
    let here = match operator {
        Operator::OrderBy => query.order_by.as_ref().map(|o| ("ORDER BY", o.span())),
        Operator::Limit => query.limit_clause.as_ref().map(|l| ("LIMIT", l.span())),
        _ => None,
    };
    here.or_else(|| place_in_body(operator, &query.body)).or_else(|| {
        let ctes = query.with.iter().flat_map(|w| &w.cte_tables);
        ctes.into_iter().find_map(|cte| place_in(operator, &cte.query))
    })
}

fn place_in_body(operator: Operator, body: &sql::SetExpr) -> Option<Place> {
    let select = match body {
        sql::SetExpr::Select(select) => select,
        sql::SetExpr::Query(query) => return place_in(operator, query),
        sql::SetExpr::SetOperation { left, right, op, set_quantifier } => {
            let inner =
                place_in_body(operator, left).or_else(|| place_in_body(operator, right));
            let name = match op {
                sql::SetOperator::Union => "UNION",
                sql::SetOperator::Intersect => "INTERSECT",
                sql::SetOperator::Except | sql::SetOperator::Minus => "EXCEPT",
            };
            let keeps_all =
                name == "UNION" && matches!(set_quantifier, sql::SetQuantifier::All);
            let is_this = operator == Operator::GroupBy && !keeps_all;
            return inner.or_else(|| is_this.then(|| (name, right.span())));
        }
        _ => return None,
    };
    let here = match operator {
        Operator::GroupBy => grouping_of(select),
        Operator::Join => {
            let mut joined = select.from.iter().filter_map(|from| from.joins.first());
            let joined = joined.next().map(|join| join.relation.span());
            let listed = || select.from.get(1).map(|from| from.relation.span());
            joined.or_else(listed).or_else(|| subquery_of(select)).map(|span| ("a join", span))
        }
        Operator::Over => over_of(select).map(|span| ("OVER", span)),
        _ => None,
    };
    let derived = select.from.iter().flat_map(|from| {
        std::iter::once(&from.relation).chain(from.joins.iter().map(|j| &j.relation))
    });
    here.or_else(|| {
        derived.into_iter().find_map(|relation| match relation {
            sql::TableFactor::Derived { subquery, .. } => place_in(operator, subquery),
            _ => None,
        })
    })
}

/// What makes groups of a query's rows.
fn grouping_of(select: &sql::Select) -> Option<Place> {
    if let sql::GroupByExpr::Expressions(keys, _) = &select.group_by
        && let Some(keys) = keys.iter().map(|e| e.span()).reduce(|a, b| a.union(&b))
    {
        return Some((GROUP_BY, keys));
    }
    let columns = select.projection.iter().map(|item| item.span());
    let columns = columns.reduce(|a, b| a.union(&b))?;
    if select.distinct.is_some() {
        return Some(("DISTINCT", columns));
    }
    let aggregate = |expr: &sql::Expr| match expr {
        sql::Expr::Function(call)
            if call.over.is_none() && functions::is_aggregate(&call.name.to_string()) =>
        {
            ControlFlow::Break(call.span())
        }
        _ => ControlFlow::Continue(()),
    };
    let found = sql::visit_expressions(&select.projection, aggregate);
    found.break_value().map(|span| ("an aggregate function", span))
}

/// A subquery in WHERE, which becomes a join.
fn subquery_of(select: &sql::Select) -> Option<tokenizer::Span> {
    let subquery = |expr: &sql::Expr| match expr {
        sql::Expr::InSubquery { .. } | sql::Expr::Exists { .. } | sql::Expr::Subquery(_) => {
            ControlFlow::Break(expr.span())
        }
        _ => ControlFlow::Continue(()),
    };
    sql::visit_expressions(&select.selection, subquery).break_value()
}

fn over_of(select: &sql::Select) -> Option<tokenizer::Span> {
    let over = |expr: &sql::Expr| match expr {
        sql::Expr::Function(call) if call.over.is_some() => ControlFlow::Break(call.span()),
        _ => ControlFlow::Continue(()),
    };
    sql::visit_expressions(&select.projection, over).break_value()
}
