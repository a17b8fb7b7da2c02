//! Kafka client configuration.
