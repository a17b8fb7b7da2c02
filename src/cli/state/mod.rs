//! Where a job keeps its state.

pub mod command;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::CliError;
use super::settings::{JOB_NAME, RETAINED_CHECKPOINTS, STATE_PATH};
use crate::checkpoint::{Archive, Identity, JobState, RETAINED};
use crate::engine::{EngineError, StateOptions};
use crate::planning::Planned;
use crate::planning::explain::{identity, state_fits};
use crate::store::{Folder, Location, parse_location};

/// The state of a planned job; `None` if none of its sinks could use it: what
/// is printed cannot be taken back.
///
/// # Errors
/// A folder that cannot be one for state.
pub fn options(
    planned: &Planned,
    drop_state: bool,
    offsets_of: Option<&str>,
) -> Result<Option<StateOptions>, CliError> {
    let mut lakes = planned.job.outputs.iter().filter_map(|output| output.sink.location());
    if lakes.clone().next().is_none() {
        return Ok(None);
    }
    let job = job_name(planned);
    let location = location(&planned.settings, &job)?;
    if let Some(lake) = lakes.find(|lake| location.is_within(lake) || lake.is_within(&location))
    {
        return Err(CliError::Author(format!(
            "error: the state {location} and the table's folder {lake} lie in one another\n\
             hint: readers of the table would take the state for data; set {STATE_PATH}"
        )));
    }
    let plan = identity(&planned.job);
    let retained = planned.settings.get(RETAINED_CHECKPOINTS).and_then(|v| v.parse().ok());
    let retained = retained.unwrap_or(RETAINED);
    let begins = offsets_of.map(|other| offsets(planned, other)).transpose()?;
    let begins = begins.unwrap_or_default();
    let identity = Identity { job, plan, fits: state_fits, drop_state, retained, begins };
    Ok(Some(StateOptions { location, identity }))
}

/// How far another job has read the tables that this one reads.
fn offsets(planned: &Planned, job: &str) -> Result<JobState, CliError> {
    let location = location(&planned.settings, job)?;
    let folder =
        Folder::open_existing(&location).map_err(|e| CliError::World(e.to_string()))?;
    let newest = folder.map(|folder| Archive::new(folder).newest()).transpose();
    let newest = newest.map_err(EngineError::from)?.flatten().ok_or_else(|| {
        CliError::Author(format!("error: job `{job}` has no state in {location}"))
    })?;
    let scans = newest.state.scans;
    for scan in &planned.job.scans {
        if !scans.iter().any(|stored| stored.table == scan.table) {
            return Err(CliError::Author(format!(
                "error: job `{job}` reads no table `{}`, so there are no offsets of it",
                scan.table
            )));
        }
    }
    Ok(JobState { scans, ..JobState::default() })
}

/// What a job's state is found by.
fn job_name(planned: &Planned) -> String {
    planned.settings.get(JOB_NAME).unwrap_or(&planned.job.name).trim().to_owned()
}

/// The folder of a job's state.
fn location(settings: &BTreeMap<String, String>, job: &str) -> Result<Location, CliError> {
    let folder = match settings.get(STATE_PATH) {
        Some(path) => parse_location(path).map_err(|fault| {
            CliError::Author(format!("error: `{STATE_PATH}`: {}", fault.message))
        })?,
        None => Location::Local(default_folder()?),
    };
    Ok(folder.join(&folder_name(job)))
}

/// `turnstile/state` in the user's data folder.
///
/// Source: the XDG Base Directory Specification.
fn default_folder() -> Result<PathBuf, CliError> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let data = folder("XDG_DATA_HOME").map(PathBuf::from);
    let data =
        data.or_else(|| folder("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    data.map(|data| data.join("turnstile/state")).ok_or_else(|| {
        CliError::Author(format!(
            "error: there is no home folder for state; set `{STATE_PATH}`"
        ))
    })
}

/// A job's name as the name of a folder.
fn folder_name(job: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ') || c == '.';
    let mut name = String::new();
    for c in job.chars() {
        if plain(c) && !(name.is_empty() && c == '.') {
            name.push(c);
        } else {
            let mut bytes = [0; 4];
            let encoded = c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}"));
            name.extend(encoded);
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jobs_name_is_one_folder() {
        assert_eq!(folder_name("turnstile_5min"), "turnstile_5min");
        assert_eq!(folder_name("../x"), "%2E.%2Fx");
        assert_eq!(folder_name("a.b c"), "a.b c");
    }
}
