//! Which commands may be sent again when their reply was lost: those that, done twice, leave what doing them once leaves.

use crate::model::Command;

/// Whether a command changes nothing.
pub(super) fn reads(command: &Command) -> bool {
    matches!(
        command,
        Command::ShowJob { .. }
            | Command::ListJobs { .. }
            | Command::ShowLog { .. }
            | Command::ShowQueue { .. }
            | Command::ListQueues { .. }
            | Command::ShowOperation { .. }
            | Command::ListOperations
            | Command::Stats
    )
}

/// Whether a command may be sent again.
pub(super) fn is_safe(command: &Command) -> bool {
    match command {
        // The second time each id is known, and answers its number.
        Command::Enqueue { jobs, .. } => jobs.iter().all(|job| job.options.id.is_some()),
        // A settlement that counted answers `already`. Not so what was leased beside it: those jobs would wait for their
        // leases to run out, a stall each. Told `UNKNOWN`, the worker beats first, and that gives them back.
        Command::Settle { then_lease, .. } => then_lease.is_none(),
        Command::Extend { .. } | Command::Progress { .. } => true,
        command => reads(command),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{JobOptions, LeaseOrder, NewJob};

    #[test]
    fn an_enqueue_is_safe_where_every_job_has_an_id() {
        let with = NewJob::new("n", "").with(JobOptions { id: Some("a".into()), ..JobOptions::default() });
        let without = NewJob::new("n", "");
        let enqueue = |jobs: &[&NewJob]| Command::Enqueue {
            queue: "q".into(),
            jobs: jobs.iter().map(|&job| job.clone()).collect(),
        };
        assert!(is_safe(&enqueue(&[&with])) && is_safe(&enqueue(&[&with, &with])));
        assert!(!is_safe(&enqueue(&[&with, &without])) && !is_safe(&enqueue(&[&without])));
        let order = LeaseOrder { queues: vec!["q".into()], limit: 1, worker: "w".into(), lease_ms: None };
        let settle = |then_lease| Command::Settle { settlements: Vec::new(), then_lease };
        assert!(is_safe(&settle(None)) && !is_safe(&settle(Some(order))));
        assert!(!is_safe(&Command::Pause { queue: "q".into() }) && is_safe(&Command::Stats));
    }
}
