//! Queues as people read them: a row of a list, everything of one.

use queue_core::model::duration::show_ms;
use queue_core::model::typed;
use queue_core::model::{JobState, QueueCounts, QueueView, SettingSource};

use super::table::{pairs, table};
use super::{cut, safe};

/// All queues, a row each.
pub(crate) fn list(queues: &[QueueView]) -> String {
    let head = ["QUEUE", ">WAITING", ">DELAYED", ">ACTIVE", ">COMPLETED", ">DEAD", ">CANCELLED", ">OLDEST", ""];
    table(head, queues.iter().map(row), "queues")
}

fn row(view: &QueueView) -> [String; 9] {
    let counts = view.counts;
    let count = |state| counts.of(state).to_string();
    [
        cut(&view.queue, 40),
        count(JobState::Waiting),
        count(JobState::Delayed),
        count(JobState::Active),
        count(JobState::Completed),
        count(JobState::Dead),
        count(JobState::Cancelled),
        view.oldest_waiting_ms.map_or(String::new(), show_ms),
        if view.paused { "paused".to_owned() } else { String::new() },
    ]
}

/// Everything there is to say of a queue.
pub(crate) fn whole(view: &QueueView) -> String {
    let pause = match (&view.pause_reason, view.paused) {
        (Some(reason), true) if !reason.is_empty() => format!(", paused: {}", safe(reason)),
        (_, true) => ", paused".to_owned(),
        _ => String::new(),
    };
    let mut text = format!("queue {}{pause}\n", safe(&view.queue));
    text.push_str(&pairs(counts(&view.counts)));
    if let Some(ms) = view.oldest_waiting_ms {
        text.push_str(&format!("  the oldest job has waited {}\n", show_ms(ms)));
    }
    let rows = view.settings.iter().map(|effective| {
        let (name, value) = typed::show(effective);
        [format!("{name}={value}"), source(&effective.source)]
    });
    let table = table(["SETTING", "FROM"], rows, "settings");
    text + &table.lines().map(|line| format!("  {line}\n")).collect::<String>()
}

fn source(source: &SettingSource) -> String {
    match source {
        SettingSource::Default => "the server's default".to_owned(),
        SettingSource::Config => "the server's file".to_owned(),
        SettingSource::Queue(actor) if actor.is_empty() => "queue set".to_owned(),
        SettingSource::Queue(actor) => format!("queue set, by {}", cut(actor, 40)),
    }
}

/// Counts by state, then the books.
pub(crate) fn counts(counts: &QueueCounts) -> Vec<(String, String)> {
    let row = |name: &str, value: String| (name.to_owned(), value);
    let with = |count: u64, part: u64, what: &str| match part {
        0 => count.to_string(),
        _ => format!("{count} ({part} {what})"),
    };
    vec![
        row("waiting", counts.waiting.to_string()),
        row("delayed", with(counts.delayed, counts.retrying, "retrying")),
        row("active", counts.active.to_string()),
        row("completed", counts.completed.to_string()),
        row("dead", counts.dead.to_string()),
        row("cancelled", counts.cancelled.to_string()),
        row("enqueued ever", counts.enqueued.to_string()),
        row("removed", counts.removed.to_string()),
        row("aged out", with(counts.aged_out, counts.dead_aged_out, "dead")),
    ]
}
