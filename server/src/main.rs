//! Placeholder until its step.
fn main() {}
