//! Longshore's dashboard: what is queued, running, retrying and dead, why, and how to put it right, in a browser.
//!
//! Pages are made on the server and work without script; script only keeps them up to date. Everything is asked of an
//! [`Engine`](queue_core::engine::Engine); nothing here knows what lies behind it, and nothing but sessions is kept between
//! requests.
//! Invariants: one table lists every route with the role that it needs, and nothing is served that is not in it; what a
//! job brought is text on a page, never markup; cost does not grow with the number of open pages.

mod access;
mod app;
mod assets;
mod config;
mod crew;
pub mod daemon;
mod encoding;
mod failure;
mod figures;
mod kept;
mod live;
mod pages;
mod query;
mod redact;
pub mod routes;
mod serve;
mod stock;
mod view;
mod visit;

pub use access::Role;
pub use config::Config;
pub use serve::{router, serve};
