//! Forms that do something: a POST that comes back to the page it stands on.

use maud::{Markup, html};
use queue_core::model::Error;

use crate::app::App;
use crate::visit::Visit;

/// A button that does something at once, and comes back to the path `back`. `test` names it for the tests of the pages.
pub(crate) fn button(app: &App, path: &str, back: &str, label: &str, test: &str) -> Markup {
    html! {
        form.inline method="post" action=(app.url(path)) data-test-form=(test) {
            (back_to(&app.url(back)))
            button type="submit" data-test-button=(test) { (label) }
        }
    }
}

/// The field that says where to come back to.
pub(crate) fn back_to(here: &str) -> Markup {
    html! { input type="hidden" name="back" value=(here); }
}

/// A form that is filled in and sent: its own fields, a reason, and a way back without it.
pub(crate) fn filled(app: &App, path: &str, back: &str, send: &Send<'_>, fields: &Markup) -> Markup {
    filled_for(app, path, back, send, fields, "")
}

/// As [`filled`], with a reason that was typed before.
pub(crate) fn filled_for(app: &App, path: &str, back: &str, send: &Send<'_>, fields: &Markup, reason: &str) -> Markup {
    html! {
        form method="post" action=(app.url(path)) data-test-form=(send.test) {
            (back_to(&app.url(back)))
            div.fields {
                (fields)
                label for="reason" { "Reason" }
                input #reason name="reason" maxlength="1000" value=(reason) placeholder="why, for whoever looks later";
            }
            div.actions {
                button.danger[send.danger] type="submit" data-test-button=(send.test) { (send.label) }
                a.button href=(app.url(back)) { "Back" }
            }
        }
    }
}

/// The button that sends a form.
pub(crate) struct Send<'a> {
    pub(crate) label: &'a str,
    /// Names it for the tests of the pages.
    pub(crate) test: &'a str,
    /// What it does cannot be undone.
    pub(crate) danger: bool,
}

/// The box that has to be ticked before something is taken away.
pub(crate) fn sure() -> Markup {
    html! {
        span {} label { input type="checkbox" name="sure" value="yes" required data-test-sure; " I know that this cannot be undone" }
    }
}

/// Refuses a form whose box is not ticked.
///
/// # Errors
///
/// `BADARG` that says so.
pub(crate) fn require_sure(visit: &Visit) -> Result<(), Error> {
    match visit.form.get("sure") {
        Some("yes") => Ok(()),
        other => {
            Err(Error::bad_arg("sure", other.unwrap_or_default(), "yes: tick the box, since this cannot be undone"))
        }
    }
}

/// What the form that led here did, if one did. The word alone is taken from the address; the sentence is ours.
pub(crate) fn done(visit: &Visit) -> Markup {
    let said = visit.query.get("done").and_then(|word| DONE.iter().find(|(known, _)| *known == word));
    html! { @if let Some((word, text)) = said { p.notice.good role="status" data-test-done=(word) { (text) } } }
}

/// What was done, and how it is told.
const DONE: [(&str, &str); 15] = [
    ("retried", "The job waits again, in a new round of attempts."),
    ("promoted", "The job waits now."),
    ("rescheduled", "The job has its new time."),
    ("edited", "The job is changed."),
    ("edited-retried", "The job is changed, and waits again in a new round of attempts."),
    ("cancelled", "The job is cancelled."),
    ("cancelling", "The job's handler is told to stop; a completion that still arrives wins."),
    ("duplicated", "This is the copy."),
    ("removed", "The job is gone."),
    ("paused", "The queue is paused: running jobs finish, and no other starts."),
    ("resumed", "The queue goes on."),
    ("set", "The settings are changed."),
    ("told", "The worker is told with its next sign of life."),
    ("selected", "It is done with all that were selected."),
    ("unchanged", "Nothing was different, so nothing was changed."),
];
