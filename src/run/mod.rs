//! **Running**: bounded concurrency, retries, cancellation, redaction before disk. It decides nothing about what to run.

pub mod event;
