//! `/login` and `/logout`: the one page for whoever is not known yet, and the way out.

use axum::http::header;
use axum::response::IntoResponse;
use maud::{Markup, html};
use queue_core::model::Error;

use crate::access::Refusal;
use crate::app::App;
use crate::figures::Login;
use crate::visit::{Shown, Visit};
use crate::{failure, view};

/// The form; whoever is in already goes on.
pub(crate) async fn page(visit: &Visit) -> Result<Shown, Error> {
    if !visit.app.gate.has_passwords() || visit.access.session.is_some() {
        return Ok(Shown::Back(visit.app.url("/")));
    }
    let body = form(&visit.app, visit.query.exact("back").unwrap_or_default(), "", None);
    Ok(Shown::Other(view::layout::outside(&visit.app, &visit.headers, axum::http::StatusCode::OK, "Log in", &body)))
}

fn form(app: &App, back: &str, name: &str, refusal: Option<&Refusal>) -> Markup {
    html! {
        h1 { "Log in" }
        @if let Some(refusal) = refusal {
            p.notice.bad role="alert" data-test-failure="login" { (refusal.message) ". " (refusal.advice) }
        }
        form.login method="post" action=(app.url("/login")) data-test-form="login" {
            (view::form::back_to(back))
            p { label for="name" { "Name" } br;
                input #name name="name" value=(name) required autofocus autocomplete="username" spellcheck="false" autocapitalize="none"; }
            p { label for="password" { "Password" } br;
                input #password type="password" name="password" required autocomplete="current-password"; }
            p { button type="submit" data-test-button="login" { "Log in" } }
        }
    }
}

pub(crate) async fn log_in(visit: &Visit) -> Result<Shown, Error> {
    let app = &visit.app;
    let name = visit.form.get("name").unwrap_or_default();
    let password = visit.form.exact("password").unwrap_or_default();
    let given = (name.to_owned(), password.to_owned());
    match app.gate.log_in(given, (visit.peer, &visit.headers), &app.base, app.steady_ms()).await {
        Ok(cookie) => {
            app.figures.tried(Login::Accepted);
            let location = app.url(visit.from().unwrap_or("/"));
            let headers = [(header::SET_COOKIE, cookie), (header::LOCATION, location)];
            Ok(Shown::Other((axum::http::StatusCode::SEE_OTHER, headers).into_response()))
        }
        Err(refusal) => {
            app.figures.tried(Login::refused(refusal.status));
            let body = form(app, visit.form.exact("back").unwrap_or_default(), name, Some(&refusal));
            let page = view::layout::outside(app, &visit.headers, refusal.status, "Log in", &body);
            Ok(Shown::Other(failure::with_its_headers(page, &refusal)))
        }
    }
}

pub(crate) async fn log_out(visit: &Visit) -> Result<Shown, Error> {
    let app = &visit.app;
    let cookie = app.gate.log_out(visit.access.session.as_ref(), &app.base);
    let next = if app.gate.has_passwords() { "/login" } else { "/" };
    let headers = [(header::SET_COOKIE, cookie), (header::LOCATION, app.url(next))];
    Ok(Shown::Other((axum::http::StatusCode::SEE_OTHER, headers).into_response()))
}

/// Who one is, and the way out, where there is one.
pub(crate) fn who(visit: &Visit) -> Markup {
    html! {
        @if visit.access.session.is_some() {
            form.inline method="post" action=(visit.app.url("/logout")) data-test-form="logout" {
                span.dim data-test-user { (visit.access.user) ", " (visit.access.role.word()) " " }
                button type="submit" data-test-button="logout" { "Log out" }
            }
        }
    }
}
