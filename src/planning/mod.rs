//! From statements to a [`pipeline::Job`].
//!
//! DataFusion plans: SQL to a logical plan, its optimizer, its expressions and
//! aggregate functions. What it does not know, streams, event time and windows,
//! is added as extension nodes, and [`split`] cuts the optimized plan at its
//! windows. No I/O happens here.

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
pub mod pipeline;
mod relation;
pub mod side_tables;
mod split;
mod time_bounds;
mod unnest;
pub mod user_functions;
mod wall_time;
pub mod window;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
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
pub use wall_time::{WallTime, Zone};

use crate::diagnostics::{Diagnostic, Span, Spanned};
use crate::options::parse_duration;
use crate::sinks::SinkTable;
use crate::sql::ast::{CreateFunction, Insert, Query, Script, StatementKind};

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
                Err(errors) => self.errors.extend(errors),
            },
            StatementKind::Drop { name, if_exists } => {
                if self.catalog.remove(&name.value).is_none() && !if_exists {
                    let message = format!("`{}` is not declared", name.value);
                    self.errors.push(Diagnostic::error(message).at(name.span));
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
            .map_err(|e| vec![errors::diagnostic(&e, self.script, view.query.span)])
    }

    /// The logical plan of a query, not optimized.
    fn query(&self, query: &Query) -> Result<LogicalPlan, Vec<Diagnostic>> {
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
        let mut ast = query.ast.clone();
        let place = |misuse: errors::Misuse| misuse.diagnostic(self.script, query.span);
        self.functions.expand(&mut *ast).map_err(|misuse| Vec::from_iter(misuse.map(place)))?;
        lookup::rewrite(&mut *ast).map_err(|misuse| vec![place(misuse)])?;
        unnest::rewrite(&mut *ast);
        group_window::rewrite(&mut ast);
        functions::syntax::rewrite(&mut *ast).map_err(|misuse| vec![place(misuse)])?;
        let statement = sql::Statement::Query(ast);
        let planned = SqlToRel::new(&context)
            .sql_statement_to_plan(statement)
            .and_then(not_in::rewrite)
            .and_then(lookup::mark)
            .and_then(|plan| coercion::typed_plan(plan, &self.time_zone()));
        let declared = self.catalog.take_errors();
        match planned {
            Ok(plan) => Ok(plan),
            Err(_) if !declared.is_empty() => Err(declared),
            Err(error) => Err(vec![errors::diagnostic(&error, self.script, query.span)]),
        }
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
        let fitted = insert::fit(insert, query, &table, &time_zone, self.batch())
            .map_err(|e| vec![e])?;
        let sink = self.sink(&table, &time_zone)?;
        let optimized = self
            .state
            .optimize(&fitted.plan)
            .map_err(|e| vec![errors::diagnostic(&e, self.script, insert.query.span)])?;
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
            SplitError::DataFusion(e) => errors::diagnostic(e, self.script, insert.query.span),
            SplitError::Refused { operator, message, hint } => {
                let span = place_of(*operator, &insert.query)
                    .and_then(|s| self.script.span(s))
                    .unwrap_or(insert.query.span);
                let diagnostic = Diagnostic::error(message.clone()).at(span);
                if hint.is_empty() { diagnostic } else { diagnostic.hint(hint.clone()) }
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
        let end = Span::new(0, 0);
        let mut job = job
            .finish(name, time_zone, null_handling, batch, &self.state, table)
            .map_err(|e| vec![errors::diagnostic(&e, self.script, end)])?;
        let idle_timeout = self.settings.get(IDLE_TIMEOUT).and_then(|v| parse_duration(v));
        for scan in &mut job.scans {
            // Zero turns it off, in either place.
            scan.idle_timeout = scan.idle_timeout.or(idle_timeout).filter(|t| !t.is_zero());
        }
        if !batch {
            check_watermarks(&job)?;
        }
        let path = |key: &str| self.settings.get(key).filter(|_| !job.outputs.is_empty());
        let (dead_letters, late_rows) =
            (path(side_tables::DEAD_LETTERS), path(side_tables::LATE_ROWS));
        if let Some(path) = dead_letters {
            side_tables::add_dead_letters(&mut job, path, self.connectors.as_ref())?;
        }
        if let Some(path) = late_rows {
            side_tables::add_late_rows(&mut job, path, self.connectors.as_ref())?;
        }
        Ok(job)
    }
}

/// A sink that asks for the watermark needs tables that have one.
fn check_watermarks(job: &Job) -> Result<(), Vec<Diagnostic>> {
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
            return Err(vec![Diagnostic::error(message).hint(hint)]);
        }
    }
    Ok(())
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
    let mut ast = expr.ast.clone();
    let place = |misuse: errors::Misuse| misuse.diagnostic(script, expr.span);
    declared.expand(&mut ast).map_err(|misuse| {
        let undeclared = || Diagnostic::error("a function here is not declared").at(expr.span);
        misuse.map_or_else(undeclared, place)
    })?;
    functions::syntax::rewrite(&mut ast).map_err(place)?;
    SqlToRel::new(&context)
        .sql_to_expr(ast, schema, &mut PlannerContext::new())
        .and_then(|expr| coercion::typed_expr(expr, schema, time_zone))
        .map_err(|e| errors::diagnostic(&e, script, expr.span))
}

/// Where in a query the refused operator stands: the outermost one.
fn place_of(operator: Operator, query: &Query) -> Option<tokenizer::Span> {
    place_in(operator, &query.ast)
}

fn place_in(operator: Operator, query: &sql::Query) -> Option<tokenizer::Span> {
    let here = match operator {
        Operator::OrderBy => query.order_by.as_ref().map(|o| o.span()),
        Operator::Limit => query.limit_clause.as_ref().map(|l| l.span()),
        _ => None,
    };
    here.or_else(|| place_in_body(operator, &query.body)).or_else(|| {
        let ctes = query.with.iter().flat_map(|w| &w.cte_tables);
        ctes.into_iter().find_map(|cte| place_in(operator, &cte.query))
    })
}

fn place_in_body(operator: Operator, body: &sql::SetExpr) -> Option<tokenizer::Span> {
    let select = match body {
        sql::SetExpr::Select(select) => select,
        sql::SetExpr::Query(query) => return place_in(operator, query),
        sql::SetExpr::SetOperation { left, right, .. } => {
            return place_in_body(operator, left).or_else(|| place_in_body(operator, right));
        }
        _ => return None,
    };
    let here = match operator {
        Operator::GroupBy => match &select.group_by {
            sql::GroupByExpr::Expressions(exprs, _) => {
                exprs.iter().map(|e| e.span()).reduce(|a, b| a.union(&b))
            }
            sql::GroupByExpr::All(_) => None,
        },
        Operator::Join => select
            .from
            .iter()
            .find_map(|from| from.joins.first().map(|join| join.relation.span())),
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
