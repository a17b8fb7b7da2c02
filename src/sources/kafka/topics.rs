//! Which topics a table reads: a list, or a pattern of names.

use regex::Regex;

use crate::diagnostics::closest;

/// `topic` or `topic-pattern`.
#[derive(Debug, Clone)]
pub enum Topics {
    List(Vec<String>),
    /// Matches whole names.
    Pattern {
        text: String,
        regex: Regex,
    },
}

/// Kafka's own, which a pattern never means.
const INTERNAL: &[&str] = &["__consumer_offsets", "__transaction_state", "__share_group_state"];

impl Topics {
    /// Reads `a;b;c`; `None` if a name is empty.
    pub fn list(text: &str) -> Option<Self> {
        let names: Vec<String> = text.split(';').map(|name| name.trim().to_owned()).collect();
        (!names.iter().any(String::is_empty)).then_some(Topics::List(names))
    }

    /// Reads a regular expression.
    pub fn pattern(text: &str) -> Result<Self, regex::Error> {
        let regex = Regex::new(&format!("^(?:{text})$"))?;
        Ok(Topics::Pattern { text: text.to_owned(), regex })
    }

    /// As the user wrote it.
    pub fn text(&self) -> String {
        match self {
            Topics::List(names) => names.join(";"),
            Topics::Pattern { text, .. } => text.clone(),
        }
    }

    /// The only topic, if there is just one.
    pub fn single(&self) -> Option<&str> {
        match self {
            Topics::List(names) if names.len() == 1 => names.first().map(String::as_str),
            _ => None,
        }
    }

    pub fn matches(&self, topic: &str) -> bool {
        match self {
            Topics::List(names) => names.iter().any(|name| name == topic),
            Topics::Pattern { regex, .. } => {
                !INTERNAL.contains(&topic) && regex.is_match(topic)
            }
        }
    }
}

/// The topic that was meant by one that does not exist.
pub fn near<'a>(missing: &str, existing: impl Iterator<Item = &'a str>) -> Option<String> {
    closest(missing, existing.filter(|name| !INTERNAL.contains(name))).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_names_and_nothing_of_kafkas_own() {
        let topics = Topics::pattern("ev.*|__.*").unwrap();
        assert!(topics.matches("events"));
        assert!(!topics.matches("my-events"));
        assert!(!topics.matches("__consumer_offsets"));
    }

    #[test]
    fn a_list_is_split_at_semicolons() {
        let topics = Topics::list("a; b").unwrap();
        assert!(topics.matches("b") && !topics.matches("ab"));
        assert_eq!(topics.single(), None);
        assert!(Topics::list("a;;b").is_none());
        assert_eq!(near("evnts", ["events", "x"].into_iter()), Some("events".to_owned()));
    }
}
