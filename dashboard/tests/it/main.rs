//! The dashboard as its users meet it: a router over a memory engine, and a real listener where sockets matter.

mod access;
mod actions;
mod common;
mod docs;
mod live;
mod login;
mod metrics;
mod pages;
mod protocol;
mod redact;
mod selection;
