//! The command line as a user meets it: real processes over a directory of their own, whole answers compared.

mod backups;
mod dev;
mod errors;
mod harness;
mod jobs;
mod journal;
mod queues;
mod repair;
mod streams;
