//! `dev`: server, worker and dashboard in one process, to try Longshore out and to write handlers against.
//!
//! Starts each by the call that its own `main` makes. The end goes backwards: first the worker finishes or gives back
//! what runs, then the dashboard goes, then the server closes the engine, so that nothing is left to lease expiry.

mod demo;
mod page;
mod reload;
mod show;
pub(crate) mod typed;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;

use clap::Args;
use program::log::{LogFormat, start_log};
use queue_core::EngineUrl;
use queue_core::engine::Engine;
use queue_core::model::{Error, JobNumber, Word};
use server::{Bound, CancellationToken};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use worker::config::Config;
use worker::{Shutdown, Worker};

use self::show::{Line, Tell};
use self::typed::{Program, quoted};
use crate::app::App;
use crate::failure::{Failure, USAGE};

/// Run server, worker and dashboard in one process; in a new directory, show a few jobs run
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  longshore dev
  longshore init && longshore dev --config handlers.toml
  longshore dev --listen 127.0.0.1:7700 --data /tmp/try")]
pub(crate) struct DevArgs {
    /// Where the jobs are kept; made if it does not exist. The server is dev's own, so --engine does not matter here
    #[arg(
        long,
        value_name = "DIR",
        env = "LONGSHORE_DATA",
        hide_env_values = true,
        default_value = "./longshore-data"
    )]
    data: PathBuf,
    /// Where clients connect
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "LONGSHORE_LISTEN",
        hide_env_values = true,
        default_value = "127.0.0.1:7600"
    )]
    listen: String,
    /// Where browsers find the dashboard, on loopback; none for no dashboard
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "LONGSHORE_DASHBOARD_LISTEN",
        hide_env_values = true,
        default_value = "127.0.0.1:7610"
    )]
    dashboard: String,
    /// The handlers file, taken over again whenever it changes [default: handlers of a demonstration]
    #[arg(long, value_name = "FILE", env = "LONGSHORE_HANDLERS", hide_env_values = true)]
    config: Option<PathBuf>,
}

/// The server on its thread.
struct Server {
    engine: Arc<dyn Engine>,
    address: SocketAddr,
    stop: CancellationToken,
    ended: oneshot::Receiver<Result<(), Error>>,
    thread: JoinHandle<()>,
}

/// Runs until a signal comes, or the server fails.
pub(crate) async fn run(args: DevArgs, app: &mut App) -> Result<(), Failure> {
    let (config, bytes) = args.config.as_deref().map(reload::load).transpose()?.unzip();
    // Warnings alone, unless LONGSHORE_LOG asks for more: what happens is told line by line.
    start_log(LogFormat::Text, "warn", "worker")?;
    let new = is_new(&args.data);
    let shutdown = Shutdown::new();
    shutdown.obey_signals().map_err(|error| Failure::system("listen for signals", &error))?;
    let server = start_server(&args).await?;
    let page = match page::start(&args.dashboard, &server.engine, server.address).await {
        Ok(page) => page,
        // What was started goes again before anybody is told why.
        Err(failure) => return stop(server).await.and(Err(failure)),
    };
    let (tell, lines) = unbounded_channel();
    let builder = match &config {
        Some(config) => Worker::from_config(config, &server.engine),
        None => demo::worker(&server.engine),
    };
    let worker = builder.observer(Arc::new(Tell(tell.clone()))).shutdown(shutdown.clone()).build()?;
    tokio::spawn(tell_of_stop(shutdown.clone(), tell.clone()));
    let following = args
        .config
        .clone()
        .zip(config.clone())
        .map(|(path, config)| tokio::spawn(reload::follow(path, config, bytes.flatten(), worker.handle(), tell)));
    let next = next(&args, config.as_ref(), &server);
    let ready = vec![Some(ready(&args, config.as_ref(), &server)), page.as_ref().map(page::Dashboard::line)];
    let ready = ready.into_iter().flatten().collect();
    let demonstration = (new && config.is_none()).then(|| Arc::clone(&server.engine));
    let printer = Printer { app, lines, waited_for: BTreeSet::new(), next, ready, demonstration };
    let worked = work(worker, shutdown, printer, server, page).await;
    following.inspect(tokio::task::JoinHandle::abort);
    worked
}

/// Runs the worker to its end, then the server to its; shows meanwhile what they do.
async fn work(
    worker: Worker,
    shutdown: Shutdown,
    mut printer: Printer<'_>,
    mut server: Server,
    page: Option<page::Dashboard>,
) -> Result<(), Failure> {
    let mut working = pin!(worker.run());
    let worked = tokio::select! {
        worked = &mut working => worked.map_err(Failure::from),
        printed = printer.run() => {
            // Nobody reads us any more: what runs is given back before we go.
            shutdown.stop_now();
            working.await.map_err(Failure::from).and(printed)
        }
        ended = &mut server.ended => {
            // Programs end with us: their jobs run again, and would otherwise run beside themselves.
            shutdown.stop_now();
            let _by_the_server = working.await;
            return Err(ended_early(ended.ok()));
        }
    };
    if let Some(page) = page {
        page.stop().await;
    }
    let worked = worked.and(printer.rest()).and(stop(server).await);
    worked.and_then(|()| printer.show(&Line::plain("stopped", "stopped")))
}

/// Whether nobody has kept jobs there yet.
fn is_new(data: &Path) -> bool {
    std::fs::read_dir(data).map_or(true, |mut entries| entries.next().is_none())
}

async fn start_server(args: &DevArgs) -> Result<Server, Failure> {
    let config = server::Config { listen: args.listen.clone(), admin: None, ..server::Config::default() };
    let (opened, engine) = oneshot::channel();
    let (bound, address) = oneshot::channel();
    let (finished, mut ended) = oneshot::channel();
    let stop = CancellationToken::new();
    let url = EngineUrl::Log(args.data.clone());
    let open = async move {
        let engine = url.open().await?;
        // Whoever started us has gone if this fails, and then the server ends too.
        let _ = opened.send(Arc::clone(&engine));
        Ok(engine)
    };
    let thread = std::thread::Builder::new().name("server".to_owned());
    let stopped = stop.clone();
    let thread = thread.spawn(move || {
        // Whoever waits for the two has gone only if `dev` itself has.
        let tell = |at: Bound| _ = bound.send(at.clients);
        let _ = finished.send(server::run(&config, open, stopped, tell));
    });
    let thread = thread.map_err(|error| Failure::system("start the server's thread", &error))?;
    let (address, engine) = (address.await, engine.await);
    let listens = address.is_ok();
    let (Ok(address), Ok(engine)) = (address, engine) else {
        return Err(match (&mut ended).await {
            Ok(Err(error)) => not_started(error, listens, args),
            other => ended_early(other.ok()),
        });
    };
    Ok(Server { engine, address, stop, ended, thread })
}

/// The server could not start, because of its address or, where it `listens`, its directory: says which flag helps.
fn not_started(error: Error, listens: bool, args: &DevArgs) -> Failure {
    let (data, listen) = (args.data.display(), &args.listen);
    let (hint, exit) = match error.word {
        Word::BadArg => (
            "dev serves this machine alone: --listen 127.0.0.1:PORT; for others run longshore-server".to_owned(),
            USAGE,
        ),
        _ if !listens => {
            let ask = format!("is one running already? longshore ping --engine longshore://{listen}");
            (format!("{ask}\nanother address: longshore dev --listen HOST:PORT"), 1)
        }
        _ => (format!("the jobs would be in {data}; another directory: longshore dev --data DIR"), 1),
    };
    // The server names its flag, too; once is enough.
    let message = error.message.split("; another address").next().unwrap_or_default();
    Failure::new(message, hint, exit)
}

/// The server ended although nobody stopped it.
fn ended_early(ended: Option<Result<(), Error>>) -> Failure {
    match ended {
        Some(Err(error)) => error.into(),
        _ => Failure::new("the server ended without a reason", "please report this as a fault of longshore", 1),
    }
}

fn ready(args: &DevArgs, config: Option<&Config>, server: &Server) -> Line {
    let what = match (&args.config, config) {
        (Some(path), Some(config)) => format!("{} {}", path.display(), reload::summary(config)),
        _ => format!("built-in handlers run hello, flaky and broken from {}", demo::QUEUE),
    };
    let data = args.data.display();
    Line::plain("ready", format!("longshore://{} serves the jobs in {data}; {what}; Ctrl-C stops", server.address))
}

/// What to type next, so that it works as typed.
fn next(args: &DevArgs, config: Option<&Config>, server: &Server) -> String {
    let program = Program::from_arguments();
    let here = format!("longshore://{}", server.address);
    // What a command takes that is typed where this one was.
    let taken = std::env::var("LONGSHORE_ENGINE").unwrap_or_else(|_| program::ENGINE.to_owned());
    let engine = if taken == here { String::new() } else { format!(" --engine {here}") };
    let enqueue = match config {
        None => format!("{} hello '{{\"name\": \"Ann\"}}'", demo::QUEUE),
        Some(config) => {
            let name = config.handlers().map(|(name, _)| name).find(|name| !name.contains(['*', '/']));
            let queue = config.queues.first().map_or("default", |(queue, _)| queue);
            format!("{} {} '\"Ann\"'", quoted(queue), name.map_or("NAME".to_owned(), quoted))
        }
    };
    let mut lines = vec![
        format!("{program} enqueue {enqueue} --wait{engine}"),
        format!("{program} job list{engine}"),
        format!("{program} queue list{engine}"),
    ];
    if config.is_none() {
        lines.insert(2, format!("{program} job show 3{engine}"));
        lines.push(format!("{program} dead redrive --queue {}{engine}", demo::QUEUE));
        lines.push(format!("{program} init"));
    }
    let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
    format!(
        "\nNext, in another terminal:\n\n{lines}\nThis goes on; Ctrl-C stops it, and the jobs stay in {}.\n\n",
        args.data.display()
    )
}

/// Shows lines, and what to type next once the demonstration is through.
struct Printer<'a> {
    app: &'a mut App,
    lines: UnboundedReceiver<Line>,
    waited_for: BTreeSet<JobNumber>,
    next: String,
    ready: Vec<Line>,
    /// Where to enqueue the jobs of the demonstration, if there is to be one.
    demonstration: Option<Arc<dyn Engine>>,
}

impl Printer<'_> {
    /// The first lines, and the jobs of the demonstration.
    async fn begin(&mut self) -> Result<(), Failure> {
        std::mem::take(&mut self.ready).iter().try_for_each(|line| self.show(line))?;
        let Some(engine) = self.demonstration.take() else { return self.say_next() };
        let (numbers, lines) = demo::enqueue(&engine).await?;
        self.waited_for = numbers.into_iter().collect();
        lines.iter().try_for_each(|line| self.show(line))
    }

    /// Shows lines until somebody stops asking, or nobody reads them.
    async fn run(&mut self) -> Result<(), Failure> {
        self.begin().await?;
        while let Some(line) = self.lines.recv().await {
            self.show(&line)?;
            if line.ended().is_some_and(|number| self.waited_for.remove(&number)) && self.waited_for.is_empty() {
                self.say_next()?;
            }
        }
        Ok(())
    }

    /// Shows the lines that are left.
    fn rest(&mut self) -> Result<(), Failure> {
        while let Ok(line) = self.lines.try_recv() {
            self.show(&line)?;
        }
        Ok(())
    }

    fn show(&mut self, line: &Line) -> Result<(), Failure> {
        self.app.answer(line, || line.text())?;
        Ok(self.app.out.flush()?)
    }

    fn say_next(&mut self) -> Result<(), Failure> {
        if !self.app.json {
            self.app.out.text(&self.next)?;
        }
        Ok(self.app.out.flush()?)
    }
}

/// Says that the end has begun; it may take as long as the jobs that run.
async fn tell_of_stop(shutdown: Shutdown, tell: UnboundedSender<Line>) {
    shutdown.requested().await;
    // Nobody listens if the end was that quick.
    let _ = tell.send(Line::plain("stopping", "stopping: running jobs may finish; once more stops at once"));
}

/// Stops the server, which closes the engine.
async fn stop(server: Server) -> Result<(), Failure> {
    server.stop.cancel();
    let ended = server.ended.await;
    // The thread has nothing left to do once it has told how it ended.
    let _ = server.thread.join();
    match ended {
        Ok(Err(error)) => Err(error.into()),
        _ => Ok(()),
    }
}
