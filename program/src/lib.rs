//! What Longshore's programs have in common, so that they behave alike: where they listen, and how they tell of themselves.
//!
//! Leaves to each program what it is for. Invariant: nothing here knows which program it is part of but by what it is told.

pub mod admin;
mod listen;

pub use listen::Listen;
