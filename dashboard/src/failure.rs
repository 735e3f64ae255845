//! Refusals and failures as pages: the status of the error's word, what is wrong, and what to do about it.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use queue_core::model::{Error, Word};

use crate::access::Refusal;
use crate::app::App;
use crate::view;
use crate::visit::{Nav, Page, Visit};

fn status(error: &Error) -> StatusCode {
    StatusCode::from_u16(error.word.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A refusal in the layout, with a way back.
pub(crate) async fn page(visit: &Visit, error: &Error) -> Response {
    let back = visit.from().map(|path| visit.app.url(path));
    let body = html! {
        section.notice.bad role="alert" data-test-failure=(error.word) {
            h1 { (title(error.word)) }
            p { (error.message) }
            p { (advice(error.word)) }
            p { @if let Some(back) = back { a.button href=(back) { "Back" } " " }
                a.button href=(visit.app.url("/")) { "Overview" } }
        }
    };
    view::layout::page(visit, status(error), Page::new(title(error.word), Nav::Overview, body)).await
}

/// A request that is turned away before anything of it is looked at.
pub(crate) fn refused(app: &App, headers: &HeaderMap, refusal: &Refusal) -> Response {
    let body = html! {
        h1 { (refusal.title) }
        p { (refusal.message) }
        p { (refusal.advice) }
        @if let Some(login) = &refusal.login { p { a.button href=(app.url(login)) data-test-link="login" { "Log in" } } }
    };
    with_its_headers(plain(app, headers, refusal.status, refusal.title, &body), refusal)
}

/// The headers that a refusal has.
pub(crate) fn with_its_headers(mut page: Response, refusal: &Refusal) -> Response {
    for (name, value) in &refusal.headers {
        // What is no header, such as a path that is no text, is left out.
        if let Ok(value) = value.parse() {
            page.headers_mut().insert(name, value);
        }
    }
    page
}

/// A path or a method that no route is for.
pub(crate) fn nowhere(app: &App, headers: &HeaderMap, path: &str) -> Response {
    let body = html! {
        h1 { "No such page" }
        p { "There is nothing at " code { (path) } "." }
        p { a.button href=(app.url("/")) { "Overview" } }
    };
    plain(app, headers, StatusCode::NOT_FOUND, "No such page", &body)
}

fn plain(app: &App, headers: &HeaderMap, status: StatusCode, title: &str, body: &Markup) -> Response {
    let notice = html! { section.notice.bad role="alert" { (body) } };
    view::layout::outside(app, headers, status, title, &notice)
}

fn title(word: Word) -> &'static str {
    match word {
        Word::BadArg => "That does not fit",
        Word::NoJob => "No such job",
        Word::NoQueue => "No such queue",
        Word::NoWorker => "No such worker",
        Word::NoOperation => "No such operation",
        Word::NoFailure => "No such error",
        Word::State | Word::Stale => "Not in this state",
        Word::Full => "There is no room",
        Word::Unknown => "The outcome is unknown",
        Word::Loading => "The engine is still starting",
        Word::Unreachable => "The engine does not answer",
        Word::NoAuth => "Login needed",
        Word::NoPerm => "Not allowed",
        Word::Unsupported => "This engine can't do that",
        Word::Trimmed => "That is too long ago",
        Word::Timeout => "The time ran out",
        _ => "That did not work",
    }
}

/// What to do about it.
pub(crate) fn advice(word: Word) -> &'static str {
    match word {
        Word::BadArg => "Nothing was changed. Go back and put the named field right.",
        Word::NoJob => {
            "Done jobs are kept for a time that their queue's settings give. Look for others by queue or state."
        }
        Word::NoQueue => "Look at the list of queues for its name.",
        Word::NoWorker => "It may have stopped meanwhile, or gone by another name: look at the list of workers.",
        Word::NoOperation => "Operations that ended long ago are forgotten. Look at the list of those that are kept.",
        Word::NoFailure => {
            "Failures that lie far back are forgotten. Look at the list of errors for those that are kept."
        }
        Word::State | Word::Stale => "Nothing was changed. The job may have gone on meanwhile: look at it again.",
        Word::Full => "Make room on the disk or in memory, or remove jobs; then try again.",
        Word::Unknown => "It may or may not have happened. Look whether it did before you try again.",
        Word::Loading | Word::Unreachable => "Try again in a moment. If it goes on, look whether the server runs.",
        Word::NoAuth => "The dashboard needs the engine's password: longshore://:PASSWORD@HOST:PORT.",
        Word::NoPerm => "Ask somebody who may.",
        _ => "Nothing was changed.",
    }
}
