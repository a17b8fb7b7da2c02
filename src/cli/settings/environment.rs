//! Settings of the environment: `TURNSTILE_BATCH_SIZE` is
//! `turnstile.batch-size`, `TURNSTILE_PIPELINE_NAME` is `pipeline.name`.

use std::collections::BTreeMap;

use super::{KEYS, Key, check};
use crate::diagnostics::Diagnostic;

const PREFIX: &str = "TURNSTILE_";

/// The variable that sets a key.
pub fn variable(key: &str) -> String {
    let key = key.strip_prefix("turnstile.").unwrap_or(key);
    format!("{PREFIX}{}", key.replace(['.', '-'], "_").to_uppercase())
}

/// The settings among `variables`. An empty one is as good as none: that is
/// how a compose file passes on what is not set.
///
/// # Errors
/// Every variable that is unknown or whose value does not fit.
pub fn read(
    variables: impl Iterator<Item = (String, String)>,
) -> Result<BTreeMap<String, String>, Vec<Diagnostic>> {
    let mut found = BTreeMap::new();
    let mut faults = Vec::new();
    let ours = |name: &str| name.starts_with(PREFIX) && !is_service_link(name);
    for (name, value) in variables.filter(|(name, value)| ours(name) && !value.is_empty()) {
        match key_of(&name).and_then(|key| check(key.name, &value, &name).map(|()| key)) {
            Ok(key) => {
                found.insert(key.name.to_owned(), value);
            }
            Err(fault) => faults.push(fault),
        }
    }
    // The environment has no order of its own.
    faults.sort_by(|a, b| a.message.cmp(&b.message));
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

fn key_of(name: &str) -> Result<&'static Key, Diagnostic> {
    // A class keeps its capitals and dots, which a variable's name cannot.
    let mut keys = KEYS.iter().filter(|key| !key.is_family());
    let variables: Vec<String> = keys.clone().map(|key| variable(key.name)).collect();
    keys.find(|key| variable(key.name) == name).ok_or_else(|| {
        Diagnostic::error(format!("unknown variable {name}"))
            .did_you_mean(name, variables.iter().map(String::as_str))
            .hint(format!("known are {}", variables.join(", ")))
    })
}

/// Kubernetes tells every pod about every service: one named `turnstile` or
/// `turnstile-web` appears as `TURNSTILE_SERVICE_HOST`, `TURNSTILE_PORT`,
/// `TURNSTILE_WEB_PORT_80_TCP_ADDR` and so on.
///
/// Source: <https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables>
fn is_service_link(name: &str) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || name.contains("_PORT_")
}
