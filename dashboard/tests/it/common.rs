//! A dashboard over a memory engine, asked without a socket.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use dashboard::Config;
use queue_core::engine::{Engine, EngineExt, LocalEngine, LocalOptions};
use queue_core::model::{JobNumber, LeaseOrder, LeaseRef, NewJob, Outcome};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// A dashboard, and the engine behind it.
pub(crate) struct Desk {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) router: Router,
    pub(crate) stop: CancellationToken,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) bytes: Vec<u8>,
}

impl Answer {
    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The page's own part, as far as a failed test need show it.
    fn main(&self) -> String {
        self.text.rsplit("<main").next().unwrap_or_default().chars().take(4_000).collect()
    }

    /// Requires parts of the page, in this order.
    pub(crate) fn has(&self, parts: &[&str]) -> &Self {
        let mut rest = self.text.as_str();
        for part in parts {
            rest = rest.split_once(part).unwrap_or_else(|| panic!("no {part} in the rest of {}", self.main())).1;
        }
        self
    }

    pub(crate) fn lacks(&self, part: &str) -> &Self {
        assert!(!self.text.contains(part), "{part} in {}", self.main());
        self
    }
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::under("")
    }

    pub(crate) fn under(base_path: &str) -> Self {
        Self::with(&Config { base_path: base_path.to_owned(), ..Config::default() })
    }

    pub(crate) fn with(config: &Config) -> Self {
        let engine: Arc<dyn Engine> = Arc::new(LocalEngine::memory(LocalOptions::default()));
        let stop = CancellationToken::new();
        let router = dashboard::router(config, Arc::clone(&engine), stop.clone()).expect("a sound configuration");
        Self { engine, router, stop }
    }

    /// Another dashboard over an engine.
    pub(crate) fn over(engine: &Arc<dyn Engine>) -> Router {
        let stop = CancellationToken::new();
        dashboard::router(&Config::default(), Arc::clone(engine), stop).expect("a sound configuration")
    }

    /// Asks as a browser does from a page of ours: whatever of that is not said is added.
    pub(crate) async fn ask(&self, mut request: Request<Body>) -> Answer {
        let headers = request.headers_mut();
        headers.entry(header::HOST).or_insert(HeaderValue::from_static("127.0.0.1:7610"));
        headers.entry("sec-fetch-site").or_insert(HeaderValue::from_static("same-origin"));
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("a body");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status, headers: parts.headers, text, bytes: bytes.into() }
    }

    /// Serves the same engine at a free port of loopback.
    pub(crate) async fn listen(&self, config: Config) -> SocketAddr {
        let config = Config { listen: "127.0.0.1:0".to_owned(), ..config };
        let (bound, address) = tokio::sync::oneshot::channel();
        let (engine, stop) = (Arc::clone(&self.engine), self.stop.clone());
        tokio::spawn(async move {
            dashboard::serve(&config, engine, stop, |at| bound.send(at).expect("somebody waits"))
                .await
                .expect("served");
        });
        address.await.expect("it listens")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Request::get(path).body(Body::empty()).expect("a request")).await
    }

    /// A page that has to be there.
    pub(crate) async fn page(&self, path: &str) -> Answer {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        answer
    }

    pub(crate) async fn post(&self, path: &str, form: &str) -> Answer {
        let request = Request::builder().method(Method::POST).uri(path);
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.ask(request.body(Body::from(form.to_owned())).expect("a request")).await
    }

    /// Enqueues a job and answers its number.
    pub(crate) async fn add(&self, queue: &str, name: &str, payload: &[u8]) -> JobNumber {
        let job = NewJob::new(name, payload.to_vec());
        self.engine.enqueue(queue, vec![job]).await.expect("enqueued")[0].number
    }

    /// Leases the next job of a queue.
    pub(crate) async fn lease(&self, queue: &str) -> LeaseRef {
        let order = LeaseOrder { queues: vec![queue.to_owned()], limit: 1, worker: "w1".to_owned(), lease_ms: None };
        let leased = self.engine.lease_now(order).await.expect("leased");
        LeaseRef { number: leased[0].number, token: leased[0].token }
    }

    /// A job that is dead, with this error.
    pub(crate) async fn dead(&self, queue: &str, error: &str) -> JobNumber {
        let number = self.add(queue, "send", b"{}").await;
        let lease = self.lease(queue).await;
        let outcome = Outcome::Fail { kind: "exit".to_owned(), error: error.to_owned(), retryable: false };
        self.engine.settle(lease, outcome).await.expect("settled");
        number
    }
}
