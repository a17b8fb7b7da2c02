//! The requests this broker answers, and in which versions.
//!
//! One table, [`SUPPORTED`], is both what `ApiVersions` advertises and what the
//! dispatcher accepts, so the two cannot differ. Group membership (`JoinGroup`
//! and its kin) is absent on purpose: consumers assign partitions themselves.

/// A request of the Kafka protocol; the number is its key on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum Api {
    Produce = 0,
    Fetch = 1,
    ListOffsets = 2,
    Metadata = 3,
    OffsetCommit = 8,
    OffsetFetch = 9,
    FindCoordinator = 10,
    ApiVersions = 18,
    CreateTopics = 19,
    DeleteTopics = 20,
    DeleteRecords = 21,
    InitProducerId = 22,
    OffsetForLeaderEpoch = 23,
    AddPartitionsToTxn = 24,
    AddOffsetsToTxn = 25,
    EndTxn = 26,
    TxnOffsetCommit = 28,
    CreatePartitions = 37,
}

/// The versions of one request that this broker speaks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Supported {
    pub api: Api,
    pub min: i16,
    pub max: i16,
    /// The first version with compact lengths and tagged fields.
    flexible_from: i16,
}

const fn versions(api: Api, min: i16, max: i16, flexible_from: i16) -> Supported {
    Supported { api, min, max, flexible_from }
}

/// Versions stop below the flexible encoding unless a client needs more:
/// `InitProducerId` 3 recovers a transactional producer, `TxnOffsetCommit` 3
/// carries the group's metadata, and `Metadata` 10 the ids of topics.
pub(super) const SUPPORTED: [Supported; 18] = [
    versions(Api::Produce, 3, 8, 9),
    versions(Api::Fetch, 4, 11, 12),
    versions(Api::ListOffsets, 1, 5, 6),
    versions(Api::Metadata, 1, 10, 9),
    versions(Api::OffsetCommit, 2, 7, 8),
    versions(Api::OffsetFetch, 1, 5, 6),
    versions(Api::FindCoordinator, 0, 2, 3),
    versions(Api::ApiVersions, 0, 3, 3),
    versions(Api::CreateTopics, 2, 4, 5),
    versions(Api::DeleteTopics, 1, 3, 4),
    versions(Api::DeleteRecords, 0, 1, 2),
    versions(Api::InitProducerId, 0, 4, 2),
    versions(Api::OffsetForLeaderEpoch, 2, 3, 4),
    versions(Api::AddPartitionsToTxn, 0, 2, 3),
    versions(Api::AddOffsetsToTxn, 0, 2, 3),
    versions(Api::EndTxn, 0, 2, 3),
    versions(Api::TxnOffsetCommit, 0, 3, 3),
    versions(Api::CreatePartitions, 0, 1, 2),
];

impl Supported {
    pub fn of_key(key: i16) -> Option<Self> {
        SUPPORTED.into_iter().find(|supported| supported.api as i16 == key)
    }

    pub fn speaks(self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }

    pub fn is_flexible(self, version: i16) -> bool {
        version >= self.flexible_from
    }
}
