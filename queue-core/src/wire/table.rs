//! Every command by name: its syntax, what it does, and the function that reads its arguments.
//!
//! The one list that `COMMAND`, usage messages and the documentation's test go by.

use super::add::{self, OptionsCache};
use super::arguments::Arguments;
use super::{Call, failure, feed, job, journal, lease, operation, queue, series, settle, verb, worker};
use crate::model::Error;

/// What a command does to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reads.
    Read,
    /// Writes, as producers and workers do.
    Write,
    /// Writes, and is recorded with actor and reason.
    Administrative,
}

/// One command.
#[derive(Clone, Copy)]
pub struct CommandSpec {
    /// Its name, in capitals.
    pub name: &'static str,
    /// Name and arguments, as usage messages and the documentation show them.
    pub syntax: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// What it does to the store.
    pub kind: Kind,
    /// Least number of arguments, the name included.
    pub arguments_min: usize,
    pub(super) parse: fn(&mut Arguments<'_>, &mut OptionsCache) -> Result<Call, Error>,
}

impl std::fmt::Debug for CommandSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.syntax)
    }
}

/// The command of this name, in any case of letters.
pub(super) fn find(name: &[u8]) -> Option<&'static CommandSpec> {
    COMMANDS.iter().find(|spec| spec.name.as_bytes().eq_ignore_ascii_case(name))
}

macro_rules! commands {
    ($($kind:ident $min:literal $name:literal $arguments:literal $summary:literal $parse:path;)+) => {
        /// Every command that is Longshore's own; what workers and producers call most stands first.
        pub const COMMANDS: &[CommandSpec] = &[$(CommandSpec {
            name: $name,
            syntax: concat!($name, $arguments),
            summary: $summary,
            kind: Kind::$kind,
            arguments_min: $min,
            parse: $parse,
        }),+];
    };
}

commands! {
    Write 4 "JOB.ADD" " queue name payload [options]" "Enqueues a job." add::parse_one;
    Write 6 "JOB.MADD" " queue count (name payload options|=) …" "Enqueues jobs, all or none." add::parse_many;
    Write 4 "JOB.LEASE" " worker [COUNT n] [BLOCK ms] [LEASE ms] QUEUES queue [queue …]"
        "Hands out jobs, perhaps after waiting for them." lease::parse;
    Write 2 "JOB.SETTLE"
        " count (COMPLETE number token | RESULT number token result | FAIL number token kind error | REJECT number token kind error | RELEASE number token | SNOOZE number token delay_ms|-) … [LEASE worker [COUNT n] [LEASE ms] QUEUES queue [queue …]]"
        "Settles leases, then perhaps hands out jobs in the same commit." settle::parse_many;
    Write 3 "JOB.EXTEND" " number token [number token …] [LEASE ms]" "Gives leases their full length again."
        lease::parse_extend;
    Write 3 "JOB.COMPLETE" " number token [result]" "Settles a lease: the job is done." settle::parse_complete;
    Write 5 "JOB.FAIL" " number token kind error [FINAL]" "Settles a lease: the attempt failed." settle::parse_fail;
    Write 3 "JOB.RELEASE" " number token" "Gives a job back to its old place, uncounted." settle::parse_release;
    Write 3 "JOB.SNOOZE" " number token [delay_ms|-]" "Puts a job off, uncounted." settle::parse_snooze;
    Write 4 "JOB.PROGRESS" " number token value" "Reports progress." job::parse_progress;
    Write 3 "JOB.LOG" " number token (OUT|ERR line) …" "Adds lines to a job's log." job::parse_log;
    Write 2 "WORKER.BEAT" " beat" "A worker's sign of life; answers what it has to do." worker::parse_beat;
    Read 2 "JOB.GET" " job [QUEUE queue]" "Shows a job." job::parse_show;
    Read 2 "JOB.LIST" " filter [CURSOR cursor] [COUNT n]" "Lists jobs." job::parse_list;
    Read 2 "JOB.LOGS" " job [FROM line] [QUEUE queue]" "Shows a job's log." job::parse_logs;
    Read 3 "JOB.WAIT" " job timeout_ms [QUEUE queue]" "Waits until a job is done, and shows it." job::parse_wait;
    Administrative 2 "JOB.PROMOTE" " job [QUEUE queue] [ACTOR actor] [REASON reason]"
        "Makes a delayed job waiting." verb::parse_promote;
    Administrative 4 "JOB.RESCHEDULE" " job (DELAY ms | AT ms) [QUEUE queue] [ACTOR actor] [REASON reason]"
        "Gives a waiting or delayed job another time." verb::parse_reschedule;
    Administrative 2 "JOB.EDIT" " job [PAYLOAD payload] [PRIORITY n] [RETRY] [QUEUE queue] [ACTOR actor] [REASON reason]"
        "Changes a job's payload or priority." verb::parse_edit;
    Administrative 2 "JOB.CANCEL" " job [QUEUE queue] [ACTOR actor] [REASON reason]" "Calls a job off." verb::parse_cancel;
    Administrative 2 "JOB.RETRY" " job [QUEUE queue] [ACTOR actor] [REASON reason]"
        "Makes a done job waiting again, in a new round." verb::parse_retry;
    Administrative 2 "JOB.REMOVE" " job [FORCE] [QUEUE queue] [ACTOR actor] [REASON reason]"
        "Takes a job out of the store." verb::parse_remove;
    Administrative 3 "QUEUE.SET" " queue settings [ACTOR actor] [REASON reason]" "Changes a queue's settings."
        queue::parse_set;
    Administrative 2 "QUEUE.CONFIG" " count (queue settings) … [ACTOR actor] [REASON reason]"
        "Applies a file of settings, where it changed since." queue::parse_config;
    Read 2 "QUEUE.GET" " queue" "Shows a queue, its counts, and each setting with its source." queue::parse_show;
    Read 1 "QUEUE.LIST" " [CURSOR cursor] [COUNT n]" "Lists queues, by name." queue::parse_list;
    Read 1 "QUEUE.SERIES" " [QUEUE queue [NAME name | OTHER]] [STEP 10s|1m] [POINTS n]"
        "Shows what happened over time to the jobs of the store, a queue or a name." series::parse_show;
    Read 1 "QUEUE.ACTIVITY" " [QUEUE queue] [STEP 10s|1m] [POINTS n] [CURSOR cursor] [COUNT n]"
        "Shows what each queue, or each job name of one, did lately." series::parse_activity;
    Administrative 2 "QUEUE.PAUSE" " queue [ACTOR actor] [REASON reason]" "Starts no other job of a queue."
        queue::parse_pause;
    Administrative 2 "QUEUE.RESUME" " queue [ACTOR actor] [REASON reason]" "Ends a pause." queue::parse_resume;
    Administrative 3 "OPERATION.START" " verb filter [ACTOR actor] [REASON reason]"
        "Starts a verb on all jobs that match." operation::parse_start;
    Read 2 "OPERATION.GET" " operation" "Shows a bulk operation." operation::parse_show;
    Read 1 "OPERATION.LIST" "" "Shows bulk operations, newest first." operation::parse_list;
    Administrative 2 "OPERATION.CANCEL" " operation [ACTOR actor] [REASON reason]"
        "Ends a bulk operation where it stands." operation::parse_cancel;
    Read 2 "ERROR.LIST" " filter [ORDER last|first|hour|day|week] [CURSOR cursor] [COUNT n]"
        "Lists groups of failures." failure::parse_list;
    Read 2 "ERROR.GET" " fingerprint" "Shows a group of failures." failure::parse_show;
    Read 2 "EVENTS.READ" " cursor|$ [COUNT n] [BLOCK ms | BACK [SINCE cursor]]"
        "Reads the feed, perhaps after waiting for it, or back." feed::parse_events;
    Read 1 "WORKER.LIST" " [CURSOR cursor] [COUNT n]" "Lists the workers, by name." worker::parse_list;
    Read 2 "WORKER.GET" " worker" "Shows a worker, and what it runs." worker::parse_show;
    Administrative 2 "WORKER.QUIET" " worker [ACTOR actor] [REASON reason]"
        "Has a worker lease nothing new and finish what runs." worker::parse_quiet;
    Administrative 2 "WORKER.RESUME" " worker [ACTOR actor] [REASON reason]" "Has a quiet worker lease again."
        worker::parse_resume;
    Administrative 2 "WORKER.STOP" " worker [ACTOR actor] [REASON reason]" "Has a worker stop, as on SIGTERM."
        worker::parse_stop;
    Read 1 "STATS" "" "Shows the store's totals." job::parse_stats;
    Write 1 "JOURNAL.BACKUP" " [name]" "Makes a backup while everything goes on." journal::parse_backup;
}
