//! The dashboard's life: bind, serve, end.
//!
//! Every request goes one way: whether it may come here at all, then the table's role and who asks, then the handler, then
//! the headers that every answer has.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use program::Listen;
use queue_core::engine::Engine;
use queue_core::model::{Error, Word, fragment};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::query::Query;
use crate::routes::{ROUTES, Route};
use crate::visit::{Shown, Visit};
use crate::{Config, Role, access, failure, view};

/// Most bytes of a form: a payload of 1 MiB, each byte of which may be written as three.
const FORM_BYTES: usize = 4 << 20;
/// Most bytes of a form by whoever is not let in yet.
const LOGIN_BYTES: usize = 16 << 10;
/// How long a stop waits for browsers that take their answers slowly.
const LAST_ANSWERS: Duration = Duration::from_secs(3);
/// No page of another origin may have what is answered here within it.
const CROSS_ORIGIN_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// Nothing but what this address serves, and nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// What is allowed where nobody has to say who they are.
const LOOPBACK: &str = "a loopback address such as 127.0.0.1:7610, since whoever reaches the dashboard may do everything; \
    beyond it start longshore-dashboard with --password-file or --token-file";

/// Serves `engine` until `stop` is cancelled; tells `bound` where it listens.
///
/// # Errors
///
/// `BADARG` for an address or a base path that is none, or an address beyond loopback; `STATE` where it is taken.
pub async fn serve(
    config: &Config,
    engine: Arc<dyn Engine>,
    stop: CancellationToken,
    bound: impl FnOnce(SocketAddr),
) -> Result<(), Error> {
    let router = router(config, engine, stop.clone())?;
    let guarded = config.password_file.is_some() || config.token_file.is_some();
    let loopback_only = (!guarded).then_some(LOOPBACK);
    let listen = Listen { flag: "listen", address: &config.listen, usual: "127.0.0.1:7610", loopback_only };
    let listener = listen.bind().await?;
    let router = router.into_make_service_with_connect_info::<SocketAddr>();
    let failed = |error: std::io::Error| Error::new(Word::Err, format!("cannot serve: {}", fragment(&error)));
    bound(listener.local_addr().map_err(failed)?);
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        served = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned()) => served.map_err(failed),
        () = late => Ok(()),
    }
}

/// The whole dashboard as a router, for whoever brings a listener of his own. Streams end when `stop` is cancelled.
///
/// # Errors
///
/// `BADARG` for a base path, a host or a field that is none, and for a password or token file with a fault.
pub fn router(config: &Config, engine: Arc<dyn Engine>, stop: CancellationToken) -> Result<Router, Error> {
    let app = App::new(engine, config, stop)?;
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(&app.url(route.path()), method_router(route));
    }
    if !app.base.is_empty() {
        router = router.route(&app.base, method_router(&ROUTES[0]));
    }
    let router = router.fallback(nowhere).method_not_allowed_fallback(nowhere);
    Ok(router.layer(from_fn_with_state(Arc::clone(&app), around)).with_state(app))
}

/// Around every answer, whatever the path.
async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let (parts, body) = request.into_parts();
    let answer = match access::enter(&app, &parts) {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(refusal) => failure::refused(&app, &parts.headers, &refusal),
    };
    let route = answer.extensions().get::<&'static Route>().copied();
    app.figures.answered(route, answer.status(), begun.elapsed());
    with_headers(answer)
}

fn method_router(route: &'static Route) -> MethodRouter<Arc<App>> {
    let filter = if *route.method() == Method::POST { MethodFilter::POST } else { MethodFilter::GET };
    on(filter, move |State(app): State<Arc<App>>, segments: RawPathParams, request: Request| async move {
        let segments = segments.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut answer = respond(route, app, segments, request).await;
        // Whoever counts answers is around all of them, and knows no routes.
        answer.extensions_mut().insert(route);
        answer
    })
}

async fn respond(route: &Route, app: Arc<App>, segments: Vec<(String, String)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().strip_prefix(app.base.as_str()).unwrap_or_default().to_owned();
    let access = match access::admit(&app, &parts, route.role()) {
        Ok(access) => access,
        Err(refusal) => return failure::refused(&app, &parts.headers, &refusal),
    };
    let query = Query::parse(parts.uri.query().unwrap_or_default().as_bytes());
    let most = if access.role == Role::Anyone { LOGIN_BYTES } else { FORM_BYTES };
    let form = match *route.method() {
        Method::POST => to_bytes(body, most).await.map(|bytes| Query::parse(&bytes)),
        _ => Ok(Query::default()),
    };
    let (peer, now_ms) = (app.gate.peer(&parts), app.now_ms());
    let mut visit =
        Visit { app, access, peer, path, headers: parts.headers, query, form: Query::default(), segments, now_ms };
    let answer = match form {
        Ok(form) => {
            visit.form = form;
            route.answer(&visit).await
        }
        Err(_) => Err(Error::bad_arg("the form", format!("longer than {most} bytes"), "a payload of at most 1 MiB")),
    };
    match answer {
        Ok(Shown::Page(page)) => view::layout::page(&visit, StatusCode::OK, page).await,
        Ok(Shown::Back(location)) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        Ok(Shown::Other(response)) => response,
        Err(error) => failure::page(&visit, &error).await,
    }
}

/// What no route is for.
async fn nowhere(State(app): State<Arc<App>>, request: Request) -> Response {
    failure::nowhere(&app, request.headers(), request.uri().path())
}

fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (CROSS_ORIGIN_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What is not said to be kept shows the state of a moment, and payloads.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
