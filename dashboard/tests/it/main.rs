//! The dashboard as its users meet it: a router over a memory engine, and a real listener where sockets matter.

mod actions;
mod common;
mod docs;
mod live;
mod pages;
mod protocol;
