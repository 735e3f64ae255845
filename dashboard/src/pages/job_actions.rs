//! What can be done with a job: the buttons that its state allows, and the handlers behind them.

use maud::{Markup, html};
use queue_core::engine::EngineExt;
use queue_core::model::{Error, Job, JobVerb};

use crate::access::Role;
use crate::app::App;
use crate::view::{form, jobs};
use crate::visit::{Shown, Visit};

/// The buttons that the job's state and the role allow.
pub(crate) fn buttons(app: &App, role: Role, job: &Job) -> Markup {
    let path = jobs::path(job.summary.number);
    let button = |verb: &str, label: &str| form::button(app, &format!("{path}/{verb}"), &path, label, verb);
    html! {
        @if role >= Role::Operator && job.summary.state.is_done() {
            div.actions { (button("retry", "Retry")) }
        }
    }
}

pub(crate) async fn retry(visit: &Visit) -> Result<Shown, Error> {
    let number = visit.job()?;
    visit.app.engine.job_verb(&visit.context(), number.into(), JobVerb::Retry).await?;
    Ok(visit.back("retried", &jobs::path(number)))
}
