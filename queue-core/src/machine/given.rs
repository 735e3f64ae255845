//! The highest numbers that events gave, so that none of them is given again once those events are lost.
//!
//! Leaves to the caller which events these are. Invariant: a machine that goes on behind them gives none of them again, and
//! can still be restored.

use super::{Event, Machine};
use crate::model::{JobNumber, LeaseToken};

/// No store gives as many; one that went on behind such a number could not be restored.
const LATE: u64 = 1 << 61;
/// Likewise for the epochs of leases.
const LATE_EPOCH: u32 = 0xF000_0000;

/// The highest numbers of jobs, leases and operations that some events name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given {
    number: u64,
    token: u64,
    operation: u64,
}

impl Given {
    /// Takes note of what an event names.
    pub fn note(&mut self, event: &Event<'_>) {
        let number = event.number().map_or(0, |number| number.0);
        let (token, operation) = match event {
            Event::Started { epoch, .. } => (LeaseToken::at_epoch(*epoch), 0),
            Event::Leased { token, .. } => (*token, 0),
            Event::OperationStarted { operation, .. } => (LeaseToken(0), *operation),
            _ => (LeaseToken(0), 0),
        };
        self.number = self.number.max(if number < LATE { number } else { 0 });
        self.token = self.token.max(if token.epoch() < LATE_EPOCH { token.0 } else { 0 });
        self.operation = self.operation.max(if operation < LATE { operation } else { 0 });
    }
}

impl Machine {
    /// Goes on behind what was given, and behind as many more of each as nobody can tell of. Answers the next job's number.
    pub fn go_on_behind(&mut self, given: Given, unknown: u64) -> JobNumber {
        self.last_number = self.last_number.max(given.number) + unknown;
        self.last_token = LeaseToken(self.last_token.0.max(given.token) + unknown);
        self.last_operation = self.last_operation.max(given.operation) + unknown;
        JobNumber(self.last_number + 1)
    }
}
