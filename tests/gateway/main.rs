//! The gateway over loopback. No namespace is needed, so what is checked here is everything but the network's set-up.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "these are tests")]

mod clients;
mod dialects;
mod failures;
mod hostile;
mod http;
mod http2;
mod lab;
mod raw;
mod ways;
