//! The worker as its users see it: over a scripted engine in paused time (`desk`), and over the memory engine.

mod daemon;
mod desk;
mod docs;
mod full;
mod memory;
mod orders;
mod outcomes;
mod programs;
mod reconnect;
mod stopping;
mod traffic;
mod watched;
