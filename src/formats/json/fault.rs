//! Why a JSON message could not be decoded, in words for a person.

use super::scan::Malformed;
use crate::formats::texts::excerpt;
use crate::types::SqlType;

/// Boxed, so that the way where nothing is wrong carries one word.
#[derive(Debug)]
pub struct Fault(Box<Reason>);

#[derive(Debug)]
enum Reason {
    NotAnObject,
    Malformed(Malformed),
    /// The field's path, innermost first, and what is wrong with it.
    Field(Vec<String>, String),
}

impl Fault {
    pub fn not_an_object() -> Self {
        Fault(Box::new(Reason::NotAnObject))
    }

    pub fn value(ty: &SqlType, found: &str) -> Self {
        let what = format!("expected {ty}, found {}", excerpt(found));
        Fault(Box::new(Reason::Field(Vec::new(), what)))
    }

    pub fn missing(name: &str) -> Self {
        Fault(Box::new(Reason::Field(vec![name.to_owned()], "missing".to_owned())))
    }

    pub fn null(name: &str) -> Self {
        let what = "NULL where NOT NULL is declared".to_owned();
        Fault(Box::new(Reason::Field(vec![name.to_owned()], what)))
    }

    /// The same fault, of something inside the field `name`.
    pub fn inside(mut self, name: &str) -> Self {
        if let Reason::Field(path, _) = &mut *self.0 {
            path.push(name.to_owned());
        }
        self
    }

    pub fn describe(&self, message: &str) -> String {
        match &*self.0 {
            Reason::NotAnObject => {
                format!("expected a JSON object, found {}", excerpt(message))
            }
            Reason::Malformed(Malformed { at, expected }) => {
                let rest = message.get(*at..).unwrap_or_default();
                let found = if rest.is_empty() { "the end".to_owned() } else { excerpt(rest) };
                format!("not valid JSON at byte {at}: expected {expected}, found {found}")
            }
            Reason::Field(path, what) => {
                let path: Vec<&str> = path.iter().rev().map(String::as_str).collect();
                format!("field `{}`: {what}", path.join("."))
            }
        }
    }
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Fault(Box::new(Reason::Malformed(malformed)))
    }
}
