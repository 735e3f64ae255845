//! What a piece of code says in the log, for tests about that.
//!
//! Leaves it to the tests what is to stand there. Catches the lines of the calling thread alone, down to level info.

use std::io::Write;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The lines that `run` logs.
pub(crate) fn logged(run: impl FnOnce()) -> String {
    let lines = Lines::default();
    let writer = {
        let lines = lines.clone();
        move || lines.clone()
    };
    let log = tracing_subscriber::fmt().with_writer(writer).without_time().with_ansi(false).finish();
    tracing::subscriber::with_default(log, run);
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}
