//! `/errors`: failures by what they have in common: how often lately, where, since when, and which jobs; and their dead
//! jobs put right together.

use maud::{Markup, html};
use queue_core::engine::EngineExt;
use queue_core::model::{Error, FailureFilter, FailureGroup, FailureOrder, FailureShare};

use super::operations;
use super::search::qualifier;
use crate::access::Role;
use crate::app::App;
use crate::live::Topic;
use crate::query::{Query, segment};
use crate::view::{self, bytes, count, jobs, many, spark, time};
use crate::visit::{Nav, Page, Shown, Visit};

/// Rows of a page.
const ROWS: u32 = 50;
/// How the last hour is searched for.
const LAST_HOUR: &str = "since:1h";
/// Groups that the overview names.
const WORST: usize = 3;
/// How each order is called.
const ORDERS: [(FailureOrder, &str); 5] = [
    (FailureOrder::Hour, "most in an hour"),
    (FailureOrder::Day, "most in a day"),
    (FailureOrder::Week, "most in a week"),
    (FailureOrder::Last, "seen last"),
    (FailureOrder::First, "newest"),
];

fn path(fingerprint: &str) -> String {
    format!("/errors/{}", segment(fingerprint))
}

/// A search for the jobs of a group in one state.
fn jobs_of(state: &str, fingerprint: &str) -> String {
    format!("state:{state} {}", qualifier("error", fingerprint))
}

/// The groups that failed most often within an hour, for the overview.
pub(crate) async fn worst(app: &App) -> Result<Vec<FailureGroup>, Error> {
    let page = app.engine.failures(FailureFilter::default(), FailureOrder::Hour, None, WORST as u32).await?;
    Ok(page.groups.into_iter().filter(|group| group.hour > 0).collect())
}

/// A group as something to look at.
pub(crate) fn attention(app: &App, group: &FailureGroup) -> Markup {
    html! {
        li data-test-attention="error" {
            a href=(app.url(&path(&group.fingerprint))) { (bytes::marked(&group.fingerprint)) } ": "
            (many(group.hour, "failure")) " within an hour"
        }
    }
}

pub(crate) async fn page(visit: &Visit) -> Result<Shown, Error> {
    let app = &*visit.app;
    let word = visit.query.get("sort").unwrap_or(ORDERS[0].0.as_str());
    let words: Vec<_> = FailureOrder::ALL.iter().map(|order| order.as_str()).collect();
    let order = FailureOrder::parse(word).ok_or_else(|| Error::bad_arg("sort", word, &words.join(", ")))?;
    let after = visit.query.get("after").map(str::to_owned);
    // One region for all who watch, so only what everybody sees first is kept up to date.
    let live = after.is_none() && order == ORDERS[0].0;
    let body = html! {
        h1 { "Errors" }
        p { a href=(app.url_with("/dead", &Query::default().with("q", LAST_HOUR))) data-test-last-hour {
            "Jobs that died in the last hour"
        } ": which, why, and to run them again." }
        nav.tabs aria-label="Order" {
            @for (other, name) in ORDERS {
                a href=(app.url_with("/errors", &Query::default().with("sort", other.as_str())))
                    aria-current=[(other == order).then_some("true")] { (name) }
            }
        }
        @if live { div #errors data-test-live="errors" { (list(visit.access.role, app, order, after, visit.now_ms).await?) } }
        @else { (list(visit.access.role, app, order, after, visit.now_ms).await?) }
    };
    let page = Page::new("Errors", Nav::Errors, body);
    Ok(if live { page.live(Topic::Errors) } else { page }.into())
}

/// What is kept up to date of the list, for a role.
pub(crate) async fn region(app: &App, role: Role) -> Result<Markup, Error> {
    list(role, app, ORDERS[0].0, None, app.now_ms()).await
}

async fn list(role: Role, app: &App, order: FailureOrder, after: Option<String>, now_ms: u64) -> Result<Markup, Error> {
    let first = after.is_none();
    let page = app.engine.failures(FailureFilter::default(), order, after, ROWS).await?;
    let link = |cursor: Option<String>| {
        let query = Query::default().with("sort", order.as_str());
        app.url_with("/errors", &cursor.into_iter().fold(query, |query, cursor| query.with("after", cursor)))
    };
    Ok(html! {
        @if page.groups.is_empty() && first {
            (view::empty("Nothing has failed", &html! { p { "What fails is gathered here by its cause for a week and more, also once its jobs are gone." } }))
        } @else { (table(role, app, &page.groups, now_ms)) }
        p.paging {
            @if !first { a.button href=(link(None)) data-test-first { "First page" } " " }
            @if let Some(cursor) = page.cursor { a.button href=(link(Some(cursor))) rel="next" data-test-next { "Next page" } }
        }
    })
}

fn table(role: Role, app: &App, groups: &[FailureGroup], now_ms: u64) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Errors" {
            table.rows data-test-errors {
                thead { tr {
                    th { "Error" } th title="by the minute" { "last hour" }
                    th.number { "1 min" } th.number { "1 h" } th.number { "24 h" } th.number { "7 d" }
                    th { "Last" } @if role >= Role::Operator { th { "Dead jobs" } } th.wide { "First" } th.wide { "Queues" } th.wide { "Names" }
                } }
                tbody { @for group in groups { (row(role, app, group, now_ms)) } }
            }
        }
    }
}

fn row(role: Role, app: &App, group: &FailureGroup, now_ms: u64) -> Markup {
    let number = |number: u64| html! { td.number.zero[number == 0] { (count(number)) } };
    html! {
        tr data-test-error-group=(group.fingerprint) {
            td.text { a href=(app.url(&path(&group.fingerprint))) { (bytes::marked(&group.fingerprint)) } }
            td { (spark::bars(&format!("{} in the last hour, by the minute", many(group.hour, "failure")), &[], &group.minutes)) }
            (number(group.minute)) (number(group.hour)) (number(group.day)) (number(group.week))
            td { (time::ago(group.last_at_ms, now_ms)) }
            @if role >= Role::Operator {
                td { a href=(operations::preview_url(app, "retry", &jobs_of("dead", &group.fingerprint))) data-test-again { "Run again …" } }
            }
            td.wide { (time::ago(group.first_at_ms, now_ms)) }
            td.wide { (shares(&group.queues)) }
            td.wide { (shares(&group.names)) }
        }
    }
}

fn shares(shares: &[FailureShare]) -> Markup {
    html! { @for share in shares.iter().take(3) { (bytes::marked(&share.name)) " " span.dim { (count(share.count)) } " " } }
}

pub(crate) async fn one(visit: &Visit) -> Result<Shown, Error> {
    let fingerprint = visit.segment("fingerprint");
    let body = html! {
        h1 { "Error" }
        pre.bytes.error data-test-error { (bytes::marked(fingerprint)) }
        div #error data-test-live="error" { (one_region(&visit.app, fingerprint).await?) }
        (actions(visit, fingerprint))
    };
    Ok(Page::new("Error", Nav::Errors, body).live(Topic::Error(fingerprint.to_owned())).into())
}

/// What is kept up to date of one group.
pub(crate) async fn one_region(app: &App, fingerprint: &str) -> Result<Markup, Error> {
    let group = app.engine.failure(fingerprint).await?;
    let now_ms = app.now_ms();
    let fact = |name: &str, value: Markup| html! { div { dt { (name) } dd { (value) } } };
    let times = |number: u64| html! { (count(number)) };
    Ok(html! {
        dl.facts {
            (fact("Kind", bytes::marked(&group.kind)))
            (fact("Last minute", times(group.minute)))
            (fact("Last hour", times(group.hour)))
            (fact("24 hours", times(group.day)))
            (fact("7 days", times(group.week)))
            (fact("Since the first", times(group.count)))
            (fact("First seen", time::ago(group.first_at_ms, now_ms)))
            (fact("Last seen", time::ago(group.last_at_ms, now_ms)))
            (fact("Queues", shares(&group.queues)))
            (fact("Names", shares(&group.names)))
        }
        section { h2 { "By the hour, 7 days" } (spark::bars(&format!("{} in 7 days, by the hour", many(group.week, "failure")), &[], &group.hours)) }
        section { h2 { "By the minute, the last hour" } (spark::bars(&format!("{} in an hour, by the minute", many(group.hour, "failure")), &[], &group.minutes)) }
        section {
            h2 { "Newest jobs" }
            ul.plain { @for &number in &group.jobs { li { a href=(app.url(&jobs::path(number))) data-test-sample=(number.0) { "Job " (number) } } } }
            p.dim { "Some may be gone, or have gone on since." }
        }
    })
}

/// What can be done with the group's jobs.
fn actions(visit: &Visit, fingerprint: &str) -> Markup {
    let app = &*visit.app;
    let q = |state: &str| jobs_of(state, fingerprint);
    let role = visit.access.role;
    html! {
        div.actions {
            @if role >= Role::Operator {
                a.button href=(operations::preview_url(app, "retry", &q("dead"))) { "Run its dead jobs again …" }
                a.button href=(operations::preview_url(app, "promote", &q("retrying"))) { "Retry now what waits for it …" }
            }
            @if role >= Role::Admin { a.button href=(operations::preview_url(app, "remove", &q("dead"))) { "Purge its dead jobs …" } }
            a.button href=(app.url_with("/jobs", &Query::default().with("q", q("dead")))) { "Its dead jobs" }
            a.button href=(app.url_with("/jobs", &Query::default().with("q", format!("{} {LAST_HOUR}", q("dead"))))) { "Those of the last hour" }
            a.button href=(app.url_with("/jobs", &Query::default().with("q", q("retrying")))) { "Its retrying jobs" }
        }
    }
}
