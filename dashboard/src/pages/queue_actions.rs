//! What can be done with a queue: pause and resume it, change its settings, and begin bulk operations over its jobs.

use maud::{Markup, html};
use queue_core::engine::EngineExt;
use queue_core::model::{Effective, Error, QueueView, SettingSource, typed};

use super::operations;
use crate::access::Role;
use crate::view::form::{self, Send};
use crate::view::{bytes, queues};
use crate::visit::{Shown, Visit};

/// The form for a pause, or the button that ends one.
pub(crate) fn pause_form(visit: &Visit, view: &QueueView) -> Markup {
    let path = queues::path(&view.queue);
    html! {
        @if visit.access.role >= Role::Operator {
            @if view.paused {
                div.actions { (form::button(&visit.app, &format!("{path}/resume"), &path, "Resume", "resume")) }
            } @else {
                form.actions method="post" action=(visit.app.url(&format!("{path}/pause"))) data-test-form="pause" {
                    (form::back_to(&visit.app.url(&path)))
                    label.unseen for="pause-reason" { "Reason for the pause" }
                    input #pause-reason name="reason" maxlength="1000" placeholder="reason for the pause";
                    button type="submit" data-test-button="pause" { "Pause" }
                }
            }
        }
    }
}

/// Links to what is done with many of its jobs, each with a preview.
pub(crate) fn bulk_links(visit: &Visit, queue: &str) -> Markup {
    use crate::pages::search::qualifier;
    let link = |verb: &str, states: &str, label: &str| {
        let q = format!("state:{states} {}", qualifier("queue", queue));
        html! { a.button href=(operations::preview_url(&visit.app, verb, &q)) data-test-link=(label) { (label) " …" } }
    };
    let role = visit.access.role;
    html! {
        @if role >= Role::Operator {
            div.actions {
                (link("retry", "dead", "Redrive dead"))
                (link("promote", "delayed", "Run delayed now"))
                (link("cancel", "waiting,delayed", "Cancel what waits"))
                @if role >= Role::Admin {
                    (link("remove", "waiting,delayed", "Drain"))
                    (link("remove", "completed,cancelled", "Clean done"))
                    (link("remove", "dead", "Purge dead"))
                }
            }
        }
    }
}

pub(crate) async fn pause(visit: &Visit) -> Result<Shown, Error> {
    let queue = visit.segment("queue");
    visit.app.engine.pause(&visit.context(), queue).await?;
    Ok(visit.back("paused", &queues::path(queue)))
}

pub(crate) async fn resume(visit: &Visit) -> Result<Shown, Error> {
    let queue = visit.segment("queue");
    visit.app.engine.resume(&visit.context(), queue).await?;
    Ok(visit.back("resumed", &queues::path(queue)))
}

/// The form for the settings: a value that is set stands in its field, a default is shown where one would stand.
pub(crate) fn settings_form(visit: &Visit, view: &QueueView) -> Markup {
    let path = queues::path(&view.queue);
    let fields = html! {
        @for setting in &view.settings {
            @let (name, value) = typed::show(setting);
            label for=(name) { (name) }
            span {
                input id=(name) name=(name) value=(set_value(setting, &value)) placeholder=(value) data-test-input=(name);
                " " (source(&setting.source))
            }
        }
        span {} span.dim { "An empty field has the default. Times as " code { "30s" } ", " code { "5m" } ", " code { "1h30m" }
            "; " code { "all" } ", " code { "none" } ", " code { "never" } " and " code { "forever" } " for no bound." }
    };
    form::filled(
        &visit.app,
        &format!("{path}/settings"),
        &path,
        &Send { label: "Set", test: "settings", danger: false },
        &fields,
    )
}

/// What stands in a setting's field: nothing where the default holds.
fn set_value<'v>(setting: &Effective, value: &'v str) -> &'v str {
    if setting.source == SettingSource::Default { "" } else { value }
}

/// Who set it.
pub(crate) fn source(source: &SettingSource) -> Markup {
    match source {
        SettingSource::Default => html! { span.dim { "default" } },
        SettingSource::Config => html! { "the server's file" },
        SettingSource::Queue(actor) => html! { "set by " (bytes::marked(actor)) },
    }
}

pub(crate) async fn set(visit: &Visit) -> Result<Shown, Error> {
    let queue = visit.segment("queue");
    let view = visit.app.engine.queue(queue).await?;
    let changed = view.settings.iter().filter_map(|setting| {
        let (name, value) = typed::show(setting);
        let given = visit.form.exact(&name)?.trim();
        let word = if given.is_empty() { "default" } else { given };
        (given != set_value(setting, &value)).then(|| format!("{name}={word}"))
    });
    let words: Vec<_> = changed.collect();
    if words.is_empty() {
        return Ok(visit.back("unchanged", &queues::path(queue)));
    }
    visit.app.engine.set_queue(&visit.context(), queue, typed::parse(&words)?).await?;
    Ok(visit.back("set", &queues::path(queue)))
}
