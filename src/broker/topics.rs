//! The topics and their partitions' logs: made, widened, deleted, looked up.
//!
//! Pure bookkeeping. Topics are never made because someone asked for them:
//! a missing one is an error, as with `auto.create.topics.enable=false`.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::error_code::ErrorCode;
use super::log::Log;

/// More partitions than one process should ever serve.
const MAX_PARTITIONS: i32 = 10_000;
const MAX_NAME_BYTES: usize = 249;

#[derive(Debug, Default)]
pub(super) struct Topics(BTreeMap<String, Topic>);

#[derive(Debug)]
pub(super) struct Topic {
    id: Uuid,
    partitions: Vec<Log>,
    retention_bytes: Option<u64>,
}

impl Topics {
    pub fn create(
        &mut self,
        name: &str,
        partitions: i32,
        retention_bytes: Option<u64>,
    ) -> Result<(), ErrorCode> {
        self.may_create(name, partitions)?;
        let partitions = (0..partitions).map(|_| Log::default()).collect();
        let id = Uuid::new_v4();
        self.0.insert(name.to_owned(), Topic { id, partitions, retention_bytes });
        Ok(())
    }

    /// Says whether [`Topics::create`] would succeed.
    pub fn may_create(&self, name: &str, partitions: i32) -> Result<(), ErrorCode> {
        if !is_legal_name(name) {
            Err(ErrorCode::InvalidTopic)
        } else if self.0.contains_key(name) {
            Err(ErrorCode::TopicAlreadyExists)
        } else if !(1..=MAX_PARTITIONS).contains(&partitions) {
            Err(ErrorCode::InvalidPartitions)
        } else {
            Ok(())
        }
    }

    /// Widens a topic to `total` partitions.
    pub fn widen(&mut self, name: &str, total: i32) -> Result<(), ErrorCode> {
        self.may_widen(name, total)?;
        let topic = self.0.get_mut(name).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        topic.partitions.resize_with(usize::try_from(total).unwrap_or_default(), Log::default);
        Ok(())
    }

    /// Says whether [`Topics::widen`] would succeed.
    pub fn may_widen(&self, name: &str, total: i32) -> Result<(), ErrorCode> {
        let present = self.get(name)?.partition_count();
        if (present + 1..=MAX_PARTITIONS).contains(&total) {
            Ok(())
        } else {
            Err(ErrorCode::InvalidPartitions)
        }
    }

    pub fn delete(&mut self, name: &str) -> Result<(), ErrorCode> {
        self.0.remove(name).map(drop).ok_or(ErrorCode::UnknownTopicOrPartition)
    }

    pub fn get(&self, name: &str) -> Result<&Topic, ErrorCode> {
        self.0.get(name).ok_or(ErrorCode::UnknownTopicOrPartition)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub fn log(&self, topic: &str, partition: i32) -> Result<&Log, ErrorCode> {
        let index = index_of(partition)?;
        self.get(topic)?.partitions.get(index).ok_or(ErrorCode::UnknownTopicOrPartition)
    }

    pub fn log_mut(&mut self, topic: &str, partition: i32) -> Result<&mut Log, ErrorCode> {
        let index = index_of(partition)?;
        let topic = self.0.get_mut(topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        topic.partitions.get_mut(index).ok_or(ErrorCode::UnknownTopicOrPartition)
    }

    /// Drops the oldest batches of a partition that has outgrown its topic's
    /// `retention.bytes`.
    pub fn enforce_retention(&mut self, topic: &str, partition: i32) {
        let limit = self.get(topic).ok().and_then(|topic| topic.retention_bytes);
        if let (Some(limit), Ok(log)) = (limit, self.log_mut(topic, partition)) {
            log.retain_bytes(limit);
        }
    }
}

impl Topic {
    /// Not shared by any other topic, of whatever time and name.
    pub fn id(&self) -> Uuid {
        self.id
    }

    pub fn partition_count(&self) -> i32 {
        i32::try_from(self.partitions.len()).expect("no more than MAX_PARTITIONS")
    }
}

fn index_of(partition: i32) -> Result<usize, ErrorCode> {
    usize::try_from(partition).map_err(|_| ErrorCode::UnknownTopicOrPartition)
}

/// Kafka's rule: letters, digits, `.`, `_` and `-`, but not `.` or `..`.
pub(super) fn is_legal_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && !matches!(name, "." | "..")
        && name.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_grows_and_never_shrinks() {
        let mut topics = Topics::default();
        topics.create("bids", 2, None).unwrap();
        assert_eq!(topics.create("bids", 2, None), Err(ErrorCode::TopicAlreadyExists));
        assert_eq!(topics.widen("bids", 2), Err(ErrorCode::InvalidPartitions));
        topics.widen("bids", 3).unwrap();
        assert!(topics.log("bids", 2).is_ok());
        let missing = topics.log("bids", 3).err();
        assert_eq!(missing, Some(ErrorCode::UnknownTopicOrPartition));
        assert!(topics.log("bids", -1).is_err());
    }

    #[test]
    fn names_follow_kafkas_rule() {
        assert!(is_legal_name("a.b_c-9"));
        for name in ["", ".", "..", "a b", "ä", &"x".repeat(250)] {
            assert!(!is_legal_name(name), "{name}");
        }
    }
}
