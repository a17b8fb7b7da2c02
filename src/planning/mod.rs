//! From statements to pipelines.
