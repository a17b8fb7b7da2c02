//! A case's topics in place of Kafka, a scratch folder in place of the lake.
//!
//! Every table is bound by its own connector first, so that a wrong option is
//! refused as `run` refuses it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regex::Regex;

use super::read_back::Files;
use crate::diagnostics::{Diagnostic, closest};
use crate::options::Options;
use crate::planning::catalog::Connectors;
use crate::sinks::capture::Capture;
use crate::sinks::{self, Sink, SinkTable};
use crate::sources::files::{self, FileTable};
use crate::sources::replay::{NextOrder, Partitions, Replay, Topics};
use crate::sources::{self, BoundSource, SourceTable};

/// Where a table's rows are after a run.
#[derive(Debug, Clone)]
pub enum Landed {
    Files(Arc<Files>),
    /// The connector makes no files.
    Memory(Capture),
    /// Nowhere.
    Nothing,
}

#[derive(Debug)]
pub struct CaseConnectors {
    /// Where the case keeps what tables of files hold.
    pub tables: PathBuf,
    pub input: BTreeMap<String, Arc<Partitions>>,
    pub order: Arc<NextOrder>,
    pub scratch: PathBuf,
    /// By sink table.
    pub landed: RefCell<BTreeMap<String, Landed>>,
    /// Topics that some table reads.
    pub read: RefCell<BTreeSet<String>>,
}

impl CaseConnectors {
    pub fn new(
        tables: PathBuf,
        input: &BTreeMap<String, Arc<Partitions>>,
        order: &Arc<NextOrder>,
        scratch: &Path,
    ) -> Self {
        Self {
            tables,
            input: input.clone(),
            order: Arc::clone(order),
            scratch: scratch.to_owned(),
            landed: RefCell::default(),
            read: RefCell::default(),
        }
    }

    /// An input file whose topic no table reads is most likely misnamed.
    pub fn unread(&self) -> Option<String> {
        let read = self.read.borrow();
        let topic = self.input.keys().find(|topic| !read.contains(*topic))?;
        let hint = match closest(topic, read.iter().map(String::as_str)) {
            Some(near) => format!("; did you mean `{near}`?"),
            None => String::new(),
        };
        Some(format!("no table reads the input's topic `{topic}`{hint}"))
    }

    /// The topics that a table reads. One without input is empty, and has a
    /// partition.
    fn topics(&self, mut options: Options) -> Topics {
        let topics = options.take("topic").map(|t| t.value).unwrap_or_default();
        let pattern = options.take("topic-pattern");
        let pattern = pattern.and_then(|p| Regex::new(&format!("^(?:{})$", p.value)).ok());
        let mut names: BTreeSet<String> =
            topics.split(';').map(|name| name.trim().to_owned()).collect();
        names.remove("");
        names.extend(
            self.input
                .keys()
                .filter(|name| pattern.as_ref().is_some_and(|p| p.is_match(name)))
                .cloned(),
        );
        self.read.borrow_mut().extend(names.iter().cloned());
        let none = || Arc::new(Partitions::from([(0, Vec::new())]));
        let topic = |name: String| {
            let partitions = self.input.get(&name).cloned().unwrap_or_else(none);
            (Arc::from(name), partitions)
        };
        names.into_iter().map(topic).collect()
    }
}

impl Connectors for CaseConnectors {
    fn source(
        &self,
        table: &SourceTable<'_>,
        options: Options,
    ) -> Result<BoundSource, Vec<Diagnostic>> {
        let mut bound = sources::bind(table, options.clone())?;
        if bound.value.is_some() {
            let (topics, order) = (self.topics(options), Arc::clone(&self.order));
            let bounded = bound.source.is_bounded();
            bound.source = Arc::new(Replay::new(topics, order, bounded));
        } else if !bound.source.is_bounded() {
            let message = format!("`{}` never ends, so no case can be made of it", table.name);
            let diagnostic = Diagnostic::error(message).at(table.name_span);
            return Err(vec![diagnostic.hint("give a `datagen` table 'number-of-rows'")]);
        }
        Ok(bound)
    }

    fn files(
        &self,
        table: &SourceTable<'_>,
        options: Options,
    ) -> Result<FileTable, Vec<Diagnostic>> {
        files::bind(table, options.clone())?;
        let stem = |path: &Path| path.file_stem().is_some_and(|stem| stem == table.name);
        let found = std::fs::read_dir(&self.tables).into_iter().flatten().flatten();
        let path = found.map(|entry| entry.path()).find(|path| stem(path));
        let path = path.unwrap_or_else(|| self.tables.join(table.name));
        let old = options.clone().take("connector.path").is_some();
        let key = if old { "connector.path" } else { "path" };
        files::bind(table, options.with(key, path.display().to_string()))
    }

    fn sink(
        &self,
        table: &SinkTable<'_>,
        options: Options,
    ) -> Result<Arc<dyn Sink>, Vec<Diagnostic>> {
        let bound = sinks::bind(table, options.clone())?;
        let connector = options.clone().take("connector").map(|c| c.value);
        let mut all = self.landed.borrow_mut();
        let number = all.len();
        let mut land =
            |landed: Landed| all.entry(table.name.to_owned()).or_insert(landed).clone();
        match connector.as_deref() {
            Some("filesystem") => {
                let folder = self.scratch.join(number.to_string());
                let landed = land(Landed::Files(Arc::new(Files::new(folder, table, &options))));
                let Landed::Files(files) = landed else { return Ok(bound) };
                let path = files.folder.display().to_string();
                sinks::bind(table, options.with("path", path))
            }
            Some("blackhole") => {
                land(Landed::Nothing);
                Ok(bound)
            }
            _ => match land(Landed::Memory(Capture::all())) {
                Landed::Memory(capture) => Ok(Arc::new(capture)),
                _ => Ok(bound),
            },
        }
    }
}
