//! What `turnstile explain` shows of a job.
