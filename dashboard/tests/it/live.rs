//! The stream of a page: one for all its regions, nothing sent twice, gone on with by its last event, ended by a stop.

use axum::body::Body;
use axum::http::Request;
use futures_util::StreamExt;
use queue_core::engine::EngineExt;
use queue_core::model::NewJob;
use tower::ServiceExt;

use crate::common::Desk;

/// What a stream says until the text has this in it.
struct Stream {
    body: axum::body::BodyDataStream,
    text: String,
}

impl Stream {
    async fn open(desk: &Desk, topics: &str, last: &str) -> Self {
        let request =
            Request::get(format!("/live?topics={topics}")).header("host", "localhost").header("last-event-id", last);
        let response = desk.router.clone().oneshot(request.body(Body::empty()).expect("a request")).await;
        let response = response.expect("an answer");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// Everything it says until it has said each of these.
    async fn until(&mut self, parts: &[&str]) -> String {
        while !parts.iter().all(|part| self.text.contains(part)) {
            let chunk = self.body.next().await.expect("it goes on").expect("bytes");
            self.text.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
        std::mem::take(&mut self.text)
    }
}

fn last_id(text: &str) -> &str {
    text.rsplit("id: ").next().and_then(|rest| rest.lines().next()).expect("an id")
}

#[tokio::test]
async fn regions_are_sent_when_they_change_and_only_what_a_page_lacks() {
    let desk = Desk::new();
    desk.dead("a,b", "no").await;
    let mut stream = Stream::open(&desk, "totals,overview,job:1,queue:a%252Cb", "").await;
    let all = stream.until(&["id=\"totals\"", "id=\"overview\"", "id=\"job\"", "id=\"queue\""]).await;
    assert!(all.contains("<b>1</b> dead"), "{all}");
    // The parts come in any order; the last event names all that came.
    let id = last_id(&all).to_owned();
    desk.post("/jobs/1/retry", "").await;
    let change = stream.until(&["<b>1</b> waiting"]).await;
    assert!(change.contains("id=\"totals\""), "{change}");
    // A page that comes back with what it had is sent what it lacks.
    let mut resumed = Stream::open(&desk, "totals", &id).await;
    resumed.until(&["<b>1</b> waiting"]).await;
    let now = last_id(&change).to_owned();
    let mut known = Stream::open(&desk, "totals", &now).await;
    desk.add("a,b", "n", b"{}").await;
    let news = known.until(&["id=\"totals\""]).await;
    assert!(news.contains("<b>2</b> waiting"), "what was known was sent again: {news}");
}

#[tokio::test]
async fn an_engine_that_is_gone_leaves_the_page_and_says_so() {
    let desk = Desk::new();
    let mut stream = Stream::open(&desk, "totals", "").await;
    stream.until(&["id=\"totals\""]).await;
    desk.engine.close().await.expect("closed");
    let note = stream.until(&["Not up to date"]).await;
    assert!(!note.contains("id=\"totals\""), "{note}");
    let page = desk.get("/jobs").await;
    assert_eq!(page.status.as_u16(), 503);
    page.has(&["no totals: ", "The engine does not answer", "Try again"]);
}

#[tokio::test]
async fn a_stop_ends_streams_and_the_listener() {
    let desk = Desk::new();
    let config = dashboard::Config { listen: "127.0.0.1:0".to_owned(), ..dashboard::Config::default() };
    let (bound, address) = tokio::sync::oneshot::channel();
    let (engine, stop) = (desk.engine.clone(), desk.stop.clone());
    let served =
        tokio::spawn(async move { dashboard::serve(&config, engine, stop, |at| bound.send(at).expect("waits")).await });
    let address = address.await.expect("it listens");
    let mut socket = tokio::net::TcpStream::connect(address).await.expect("connected");
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    socket.write_all(b"GET /live?topics=totals HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("sent");
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains("id=\"totals\"") {
        assert!(socket.read_buf(&mut text).await.expect("bytes") > 0);
    }
    desk.stop.cancel();
    socket.read_to_end(&mut text).await.expect("an end");
    served.await.expect("no panic").expect("stopped as asked");
}

#[tokio::test]
async fn what_nobody_watches_is_asked_of_nobody() {
    let desk = Desk::new();
    let mut stream = Stream::open(&desk, "totals,overview", "").await;
    stream.until(&["id=\"totals\""]).await;
    drop(stream);
    // The tasks see at once that nobody is left, and let the router go with all it holds.
    let Desk { engine, router, .. } = desk;
    drop(router);
    while std::sync::Arc::strong_count(&engine) > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(engine.stats().await.expect("stats").queues, 0);
}

#[tokio::test]
async fn the_feed_is_followed_and_what_comes_too_fast_is_skipped_and_told() {
    let desk = Desk::new();
    let batch = |count| (0..count).map(|_| NewJob::new("n", "1")).collect();
    let mut stream = Stream::open(&desk, "events:,events:queue%253Dother", "").await;
    stream.until(&["id=\"events\""]).await;
    desk.engine.enqueue("q", batch(3)).await.expect("enqueued");
    let few = stream.until(&["data-test-event=\"enqueued\""]).await;
    assert!(!few.contains("skipped"), "{few}");
    desk.engine.enqueue("q", batch(5_000)).await.expect("enqueued");
    let many = stream.until(&["data-test-skipped"]).await;
    // A reading has a thousand, a page a hundred.
    assert!(many.contains("<span data-test-skipped>4,000</span>"), "{many}");
    let last = many.rsplit("id=\"events\"").next().expect("a part");
    assert!(last.matches("data-test-event=").count() <= 100);
}

#[tokio::test]
async fn a_list_says_how_many_came_since_it_was_shown() {
    let desk = Desk::new();
    desk.add("q", "n", b"{}").await;
    desk.add("later", "n", b"{}").await;
    let page = desk.page("/jobs").await;
    page.has(&["data-test-new></a>", "data-test-job=\"1\"", "new%3Acount%253D2%2526all%253Dyes"]);
    let of_queue = "new%3Acount%253D1%2526queue%253Dlater";
    desk.page("/jobs?q=queue%3Alater").await.has(&["data-test-new></a>", of_queue]);
    desk.page("/jobs?q=state%3Adead").await.has(&["new%3Acount%253D2\""]);
    desk.page("/dead").await.lacks("data-test-new");
    let mut all = Stream::open(&desk, "new%3Acount%253D2%2526all%253Dyes", "").await;
    let mut queue = Stream::open(&desk, of_queue, "").await;
    let mut dead = Stream::open(&desk, "new%3Acount%253D2", "").await;
    for stream in [&mut all, &mut queue, &mut dead] {
        let first = stream.until(&["id=\"new\"", "</hx-partial>"]).await;
        assert!(first.contains("innerMorph\"></hx-partial>"), "{first}");
    }
    desk.add("q", "n", b"{}").await;
    desk.add("later", "n", b"{}").await;
    all.until(&["2 new — show"]).await;
    queue.until(&["1 job came since, of any kind"]).await;
    dead.until(&["2 jobs came since, of any kind"]).await;
    assert_eq!(desk.get("/live?topics=new%3Acount%253Dx").await.status.as_u16(), 400);
}
