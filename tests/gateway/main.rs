//! The gateway over loopback, where no namespace is needed: everything but the network's set-up. What needs the network, or a
//! process of its own, is in `alone.rs` and `garbage.rs`; where namespaces are missing these say so and pass, unless
//! `PARALLAX_REQUIRE` names `embedded`, `nftables` or `ipv6`.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "these are tests")]

mod alone;
mod clients;
mod dialects;
mod dns;
mod failures;
mod garbage;
mod hostile;
mod http;
mod http2;
mod lab;
mod pod;
mod raw;
mod slow;
#[path = "../bombs/mod.rs"]
mod unfolding;
mod ways;
