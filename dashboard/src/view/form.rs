//! Forms that do something: a POST that comes back to the page it stands on.

use maud::{Markup, html};

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

/// What the form that led here did, if one did. The word alone is taken from the address; the sentence is ours.
pub(crate) fn done(visit: &Visit) -> Markup {
    let said = visit.query.get("done").and_then(|word| DONE.iter().find(|(known, _)| *known == word));
    html! { @if let Some((word, text)) = said { p.notice.good role="status" data-test-done=(word) { (text) } } }
}

/// What was done, and how it is told.
const DONE: [(&str, &str); 1] = [("retried", "The job waits again, in a new round of attempts.")];
