//! The offsets that consumer groups have committed.
//!
//! Groups have no members here: consumers assign partitions themselves.

use std::collections::BTreeMap;

/// Offsets by topic and partition.
pub(super) type Offsets = BTreeMap<(String, i32), Committed>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Committed {
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Groups(BTreeMap<String, Offsets>);

impl Groups {
    pub fn commit(&mut self, group: &str, offsets: Offsets) {
        self.0.entry(group.to_owned()).or_default().extend(offsets);
    }

    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<&Committed> {
        self.0.get(group)?.get(&(topic.to_owned(), partition))
    }

    pub fn partitions_of(&self, group: &str) -> impl Iterator<Item = (&str, i32)> {
        let offsets = self.0.get(group).into_iter().flatten();
        offsets.map(|((topic, partition), _)| (topic.as_str(), *partition))
    }

    /// Forgets a deleted topic, so that one made anew under its name starts afresh.
    pub fn forget_topic(&mut self, name: &str) {
        for offsets in self.0.values_mut() {
            offsets.retain(|(topic, _), _| topic != name);
        }
    }
}
