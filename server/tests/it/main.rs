//! The server's tests over sockets: its protocol, a foreign client, the program itself. One program, so that it links once.

mod bounds;
mod common;
mod conformance;
mod daemon;
mod docs;
mod metrics;
mod protocol;
mod redis_client;
mod remote;
