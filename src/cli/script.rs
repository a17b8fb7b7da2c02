//! Reads and plans a query file: what `run`, `check` and `explain` share.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use super::settings::{Settings, check_script, fits};
use super::{CliError, say};
use crate::diagnostics::{Diagnostic, SourceFile};
use crate::planning::catalog::{Connectors, RealConnectors};
use crate::planning::{self, Planned};
use crate::sql::ast::StatementKind;

/// Plans the file; warnings are said, errors come back all at once.
pub fn plan(path: &Path, settings: &Settings) -> Result<Planned, CliError> {
    plan_with(path, settings, Rc::new(RealConnectors))
}

/// The same with other sources or sinks.
pub fn plan_with(
    path: &Path,
    settings: &Settings,
    connectors: Rc<dyn Connectors>,
) -> Result<Planned, CliError> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| CliError::Author(format!("error: {}: {e}", path.display())))?;
    let file = SourceFile { name: path.display().to_string().into(), text: text.into() };
    plan_source(&file, settings, &|name| std::env::var(name).ok(), connectors)
}

pub fn plan_text(
    name: &str,
    text: &str,
    settings: &Settings,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Planned, CliError> {
    let file = SourceFile { name: name.into(), text: text.into() };
    plan_source(&file, settings, env, Rc::new(RealConnectors))
}

fn plan_source(
    file: &SourceFile,
    settings: &Settings,
    env: &dyn Fn(&str) -> Option<String>,
    connectors: Rc<dyn Connectors>,
) -> Result<Planned, CliError> {
    let (planned, warnings) = planned(file, settings, env, connectors)?;
    for warning in &warnings {
        say(warning.render(file).trim_end());
    }
    Ok(planned)
}

/// All that `turnstile check` has to say of a script without any settings
/// around it; nothing if it is in order.
pub fn check(file: &SourceFile) -> String {
    match planned(file, &Settings::default(), &|_| None, Rc::new(RealConnectors)) {
        Ok((_, warnings)) => warnings.iter().map(|warning| warning.render(file)).collect(),
        Err(error) => error.to_string(),
    }
}

fn planned(
    file: &SourceFile,
    settings: &Settings,
    env: &dyn Fn(&str) -> Option<String>,
    connectors: Rc<dyn Connectors>,
) -> Result<(Planned, Vec<Diagnostic>), CliError> {
    let mut script =
        crate::sql::parse(file, env).map_err(|errors| CliError::diagnostics(&errors, file))?;
    let sets = script.statements.iter().filter_map(|statement| match &statement.kind {
        StatementKind::Set { key, value } => Some((key.clone(), value.clone())),
        _ => None,
    });
    let (errors, mut warnings) = check_script(sets);
    // A flag is stronger than the script, and what is wrong has been told.
    script.statements.retain(|statement| match &statement.kind {
        StatementKind::Set { key, value } => {
            !settings.flags.contains_key(&key.value) && fits(&key.value, &value.value)
        }
        _ => true,
    });
    let mut before: BTreeMap<String, String> = settings.before.clone();
    before.extend(settings.flags.clone());
    let planned = planning::plan(&script, before, connectors);
    let planned = match planned {
        Ok(planned) if errors.is_empty() => planned,
        Ok(_) => return Err(CliError::diagnostics(&errors, file)),
        Err(mut more) => {
            more.extend(errors);
            more.sort_by_key(|e| e.span);
            return Err(CliError::diagnostics(&more, file));
        }
    };
    warnings.extend(planned.warnings.iter().cloned());
    Ok((planned, warnings))
}
