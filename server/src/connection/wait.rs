//! Requests that may wait: leases, a job's end, the feed.
//!
//! While one waits, nothing behind it is carried out, but the connection is watched: a client that goes away is waited
//! for no longer, and what was about to be handed to it is released.

use std::pin::Pin;

use queue_core::engine::Engine;
use queue_core::model::{Context, Error, Reply};
use queue_core::resp::RequestReader;
use queue_core::wire::{Form, Request, Response};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::End;
use super::outlet::Outlet;

/// Bytes that a waiting client may send ahead; beyond that they stay in the kernel, and its leaving is noticed later.
const AHEAD_BYTES: usize = 1 << 20;

impl Outlet {
    /// Answers a request that is no command, waiting as long as it says.
    pub(super) async fn answer(
        &mut self,
        request: Request,
        context: &Context,
        form: Form,
        reader: &mut RequestReader,
        stop: &mut Pin<Box<WaitForCancellationFutureOwned>>,
    ) -> Result<(), End> {
        let engine = match self.shared.engine() {
            Ok(engine) => engine.clone(),
            Err(error) => {
                self.refuse(&error);
                return Ok(());
            }
        };
        if !request.waits() {
            let answer = ask(&*engine, context, request).await;
            self.put(form, &answer);
            return Ok(());
        }
        // The replies before this one must not wait with it.
        self.send().await?;
        let _waiting = Waiting::new(self);
        let answer = tokio::select! {
            biased;
            answer = ask(&*engine, context, request) => answer,
            end = hangup(&mut self.stream, reader) => return Err(end),
            () = stop => return Err(End::Stopped),
        };
        self.put(form, &answer);
        if !self.unsent.is_empty() && gone(&self.stream, reader) {
            self.release().await;
            return Err(End::Closed);
        }
        Ok(())
    }
}

/// Counts a connection as waiting.
struct Waiting(std::rc::Rc<crate::shared::Shared>);

impl Waiting {
    fn new(outlet: &Outlet) -> Self {
        outlet.shared.counters().waiting.add(1);
        Self(std::rc::Rc::clone(&outlet.shared))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.counters().waiting.take_one();
    }
}

/// Asks the engine.
async fn ask(engine: &dyn Engine, context: &Context, request: Request) -> Result<Response, Error> {
    Ok(match request {
        Request::Execute(command) => {
            let answer = engine.execute(context, vec![command]).await?.pop();
            let missing = || Error::new(queue_core::model::Word::Unknown, "the engine gave no answer");
            answer.ok_or_else(missing)??.into()
        }
        Request::Lease(request) => Reply::Leased(engine.lease(context, request).await?).into(),
        Request::Wait { job, timeout_ms } => Reply::Job(Box::new(engine.wait(job, timeout_ms).await?)).into(),
        Request::Events { cursor, limit, wait_ms } => Response::Events(engine.events(cursor, limit, wait_ms).await?),
        Request::EventsBack(back) => Response::Events(engine.events_back(back).await?),
        Request::Beat(beat) => Response::Orders(engine.beat(*beat).await?),
        Request::Workers { cursor, limit } => Response::Workers(engine.workers(cursor, limit).await?),
        Request::Worker { worker } => Response::Worker(Box::new(engine.worker(worker).await?)),
        Request::OrderWorker { worker, order } => {
            Response::Worker(Box::new(engine.order_worker(context, worker, order).await?))
        }
        Request::Backup { name } => Response::Backup(engine.backup(name).await?),
    })
}

/// Ends when the client goes away. What it sends ahead is kept for later.
async fn hangup(stream: &mut TcpStream, reader: &mut RequestReader) -> End {
    while reader.unread_bytes() < AHEAD_BYTES {
        match stream.read_buf(reader.buffer_mut()).await {
            Ok(0) => return End::Closed,
            Ok(_) => {}
            Err(error) => return End::Broken(error),
        }
    }
    std::future::pending().await
}

/// Whether the client is gone already.
fn gone(stream: &TcpStream, reader: &mut RequestReader) -> bool {
    match stream.try_read_buf(reader.buffer_mut()) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}
