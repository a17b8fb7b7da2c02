//! The file `arrival`: in what order messages come, and pauses.
//!
//! ```text
//! # What comes when. What is not named comes at the end.
//! turnstile.0 3
//! pause 31 s
//! turnstile.1 1
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::CaseError;
use crate::options::parse_duration;
use crate::sources::SplitId;
use crate::sources::replay::{Partitions, Step};

/// Reads the steps, which may name no more messages than there are in `input`.
pub fn parse(
    path: &Path,
    text: &str,
    input: &BTreeMap<String, Arc<Partitions>>,
) -> Result<Vec<Step>, CaseError> {
    let mut steps = Vec::new();
    let mut left: BTreeMap<(&str, i32), usize> = BTreeMap::new();
    for (topic, partitions) in input {
        left.extend(partitions.iter().map(|(p, all)| ((topic.as_str(), *p), all.len())));
    }
    for (number, line) in (1..).zip(text.lines()) {
        let wrong = |reason: String| {
            CaseError::Format(format!("{}:{number}: {reason}", path.display()))
        };
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let usage = || wrong("write `TOPIC.PARTITION COUNT` or `pause 30 s`".to_owned());
        let (what, how_much) = line.split_once(char::is_whitespace).ok_or_else(usage)?;
        if what == "pause" {
            let pause = parse_duration(how_much).ok_or_else(usage)?;
            steps.push(Step::Pause(pause));
            continue;
        }
        let (topic, partition) = what.rsplit_once('.').ok_or_else(usage)?;
        let partition: i32 = partition.parse().map_err(|_| usage())?;
        let count: usize = how_much.trim().parse().map_err(|_| usage())?;
        let left = left
            .get_mut(&(topic, partition))
            .ok_or_else(|| wrong(format!("there is no input file of `{what}`")))?;
        *left = left
            .checked_sub(count)
            .ok_or_else(|| wrong(format!("only {left} messages of `{what}` are left")))?;
        let split = SplitId { topic: topic.into(), partition };
        steps.push(Step::Messages { split, count });
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::replay::Message;
    use std::time::Duration;

    fn read(text: &str) -> Result<Vec<Step>, String> {
        let three = Partitions::from([(0, vec![Message::default(); 3])]);
        let input = BTreeMap::from([("my.topic".to_owned(), Arc::new(three))]);
        parse(Path::new("arrival"), text, &input).map_err(|e| e.to_string())
    }

    #[test]
    fn steps_are_messages_and_pauses() {
        let split = SplitId { topic: "my.topic".into(), partition: 0 };
        let messages = |count| Step::Messages { split: split.clone(), count };
        let steps = read("# first\nmy.topic.0 2\n\npause 31 s # idle\nmy.topic.0  1\n");
        let pause = Step::Pause(Duration::from_secs(31));
        assert_eq!(steps, Ok(vec![messages(2), pause, messages(1)]));
    }

    #[test]
    fn what_cannot_come_is_refused_at_its_line() {
        for (text, said) in [
            ("my.topic.0 4", "arrival:1: only 3 messages of `my.topic.0` are left"),
            ("my.topic.0 2\nmy.topic.0 2", "arrival:2: only 1 messages"),
            ("my.topic.1 1", "arrival:1: there is no input file of `my.topic.1`"),
            ("pause soon", "arrival:1: write `TOPIC.PARTITION COUNT` or `pause 30 s`"),
            ("my.topic.0", "arrival:1: write `TOPIC.PARTITION COUNT`"),
        ] {
            assert!(read(text).unwrap_err().starts_with(said), "{text}: {:?}", read(text));
        }
    }
}
