//! SASL: the mechanism, and the user and password in `sasl.jaas.config`.
//!
//! PLAIN and SCRAM are spoken; Kerberos and OAuth are refused by name.

use super::Security;
use crate::diagnostics::{Diagnostic, Span, Spanned};

/// What other properties said, by librdkafka's names.
pub struct Given {
    pub protocol: Option<String>,
    pub username: Option<String>,
    pub password: Option<String>,
}

const MECHANISMS: &[&str] = &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// librdkafka's properties, and what is wrong with the given ones.
pub fn translate(
    security: &Security,
    given: &Given,
    prefix: &str,
    place: Span,
    errors: &mut Vec<Diagnostic>,
) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let mechanism = security.get("sasl.mechanism").or_else(|| security.get("sasl.mechanisms"));
    let jaas = security.get("sasl.jaas.config");
    let wanted = given.protocol.as_deref().is_some_and(|p| p.starts_with("sasl_"));
    if !wanted {
        // In silence, a login that is never made would be worse than an error.
        if let Some(unused) = mechanism.or(jaas) {
            let message =
                format!("SASL is set up, but `{prefix}security.protocol` does not use it");
            let hint = "set `security.protocol` = `SASL_SSL` (or `SASL_PLAINTEXT`)";
            errors.push(Diagnostic::error(message).at(unused.span).hint(hint));
        }
        return found;
    }
    match mechanism {
        Some(mechanism) => match supported(mechanism, prefix) {
            Ok(name) => found.push(("sasl.mechanisms", name)),
            Err(error) => errors.push(error),
        },
        None => {
            let message = format!("option `{prefix}sasl.mechanism` is missing");
            let hint = format!("one of {}; Java's default, GSSAPI, is not supported", list());
            errors.push(Diagnostic::error(message).at(place).hint(hint));
        }
    }
    match jaas.map(|jaas| (jaas, login(&jaas.value))) {
        Some((_, Ok(login))) => {
            found.push(("sasl.username", login.username));
            found.push(("sasl.password", login.password));
        }
        Some((jaas, Err(reason))) => {
            let message = format!("`{prefix}sasl.jaas.config` cannot be used: {reason}");
            let hint = "write `org.apache.kafka.common.security.scram.ScramLoginModule required \
                        username=\"…\" password=\"…\";`";
            errors.push(Diagnostic::error(message).at(jaas.span).hint(hint));
        }
        None if given.username.is_none() || given.password.is_none() => {
            let message = format!("option `{prefix}sasl.jaas.config` is missing");
            let hint = "SASL needs a user and a password";
            errors.push(Diagnostic::error(message).at(place).hint(hint));
        }
        None => {}
    }
    found
}

fn list() -> String {
    MECHANISMS.join(", ")
}

fn supported(mechanism: &Spanned<String>, prefix: &str) -> Result<String, Diagnostic> {
    let name = mechanism.value.trim().to_uppercase();
    if MECHANISMS.contains(&name.as_str()) {
        return Ok(name);
    }
    let message = format!("`{prefix}sasl.mechanism` cannot be `{}`", mechanism.value);
    Err(Diagnostic::error(message)
        .at(mechanism.span)
        .label(format!("expected one of {}", list()))
        .did_you_mean(&name, MECHANISMS.iter().copied()))
}

struct Login {
    username: String,
    password: String,
}

/// Reads `module flag name="value" …;`. The reason of a failure tells nothing
/// of the values.
fn login(jaas: &str) -> Result<Login, String> {
    let words = words(jaas)?;
    let (module, rest) = words.split_first().ok_or("it is empty")?;
    let module = module.rsplit('.').next().unwrap_or_default();
    if !matches!(module, "PlainLoginModule" | "ScramLoginModule") {
        return Err(match module {
            "OAuthBearerLoginModule" | "Krb5LoginModule" | "IAMLoginModule" => {
                format!("`{module}` is not supported")
            }
            _ => "it names no login module that is known here".to_owned(),
        });
    }
    let value = |name: &str| {
        let prefix = format!("{name}=");
        let found = rest.iter().find_map(|word| word.strip_prefix(prefix.as_str()));
        found.map(str::to_owned).ok_or_else(|| format!("it has no `{name}`"))
    };
    Ok(Login { username: value("username")?, password: value("password")? })
}

/// Splits at blanks outside quotes, resolving quotes and escapes, up to the
/// closing semicolon.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.trim().chars();
    loop {
        let Some(c) = chars.next() else {
            return Err(match quote {
                Some(_) => "a quote is not closed".to_owned(),
                None => "it does not end with a semicolon".to_owned(),
            });
        };
        match (quote, c) {
            (Some(_), '\\') => word.extend(chars.next()),
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.push(c),
            (None, '"' | '\'') => quote = Some(c),
            (None, ';') => break,
            (None, c) if c.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (None, c) => word.push(c),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}
