//! The error codes of the Kafka protocol that this broker gives, or that a
//! test may order through [`Faults`](super::Faults).
//!
//! Only codes are here; what they mean to a client is Kafka's to say.

use thiserror::Error;

/// A Kafka error code; the number is the one on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[repr(i16)]
pub enum ErrorCode {
    #[error("offset out of range")]
    OffsetOutOfRange = 1,
    #[error("corrupt message")]
    CorruptMessage = 2,
    #[error("unknown topic or partition")]
    UnknownTopicOrPartition = 3,
    #[error("leader not available")]
    LeaderNotAvailable = 5,
    #[error("not leader or follower")]
    NotLeaderOrFollower = 6,
    #[error("request timed out")]
    RequestTimedOut = 7,
    #[error("message too large")]
    MessageTooLarge = 10,
    #[error("coordinator load in progress")]
    CoordinatorLoadInProgress = 14,
    #[error("coordinator not available")]
    CoordinatorNotAvailable = 15,
    #[error("not coordinator")]
    NotCoordinator = 16,
    #[error("invalid topic name")]
    InvalidTopic = 17,
    #[error("not enough replicas")]
    NotEnoughReplicas = 19,
    #[error("invalid required acks")]
    InvalidRequiredAcks = 21,
    #[error("unknown member id")]
    UnknownMemberId = 25,
    #[error("topic authorization failed")]
    TopicAuthorizationFailed = 29,
    #[error("group authorization failed")]
    GroupAuthorizationFailed = 30,
    #[error("cluster authorization failed")]
    ClusterAuthorizationFailed = 31,
    #[error("unsupported version")]
    UnsupportedVersion = 35,
    #[error("topic already exists")]
    TopicAlreadyExists = 36,
    #[error("invalid partitions")]
    InvalidPartitions = 37,
    #[error("invalid replication factor")]
    InvalidReplicationFactor = 38,
    #[error("invalid replica assignment")]
    InvalidReplicaAssignment = 39,
    #[error("invalid config")]
    InvalidConfig = 40,
    #[error("invalid request")]
    InvalidRequest = 42,
    #[error("unsupported for message format")]
    UnsupportedForMessageFormat = 43,
    #[error("out of order sequence number")]
    OutOfOrderSequenceNumber = 45,
    #[error("invalid producer epoch")]
    InvalidProducerEpoch = 47,
    #[error("invalid transaction state")]
    InvalidTxnState = 48,
    #[error("invalid producer id mapping")]
    InvalidProducerIdMapping = 49,
    #[error("invalid transaction timeout")]
    InvalidTransactionTimeout = 50,
    #[error("concurrent transactions")]
    ConcurrentTransactions = 51,
    #[error("operation not attempted")]
    OperationNotAttempted = 55,
    #[error("storage error")]
    KafkaStorageError = 56,
    #[error("invalid record")]
    InvalidRecord = 87,
    #[error("producer fenced")]
    ProducerFenced = 90,
}

impl ErrorCode {
    pub(super) fn wire(self) -> i16 {
        self as i16
    }
}

/// The code on the wire of an outcome: 0 is success.
pub(super) fn wire_code<T>(outcome: &Result<T, ErrorCode>) -> i16 {
    outcome.as_ref().err().map_or(0, |code| code.wire())
}
