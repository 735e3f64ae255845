//! Keeps `docs/metrics.md` in step with the table: everything below its mark is written from it.
//!
//! `LONGSHORE_WRITE_DOCS=1 cargo nextest run --release -p metrics docs` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use crate::table::{METRICS, Program};

const MARK: &str = "<!-- Below this line the page is written by a test from the table of metrics. -->\n";

fn reference(text: &mut String) {
    for program in Program::ALL {
        writeln!(text, "\n## `{}`\n", program.as_str()).expect("writing to a string");
        text.push_str("| metric | type | labels | unit | what it says |\n|---|---|---|---|---|\n");
        table(text, *program);
    }
}

fn table(text: &mut String, program: Program) {
    for metric in METRICS.iter().filter(|metric| metric.programs.contains(&program)) {
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
        let (name, of, unit, help) = (metric.name, metric.of.as_str(), metric.unit, metric.help);
        writeln!(text, "| `{name}` | {of} | {labels} | {unit} | {help} |").expect("writing to a string");
    }
}

#[test]
fn docs_metrics_md_is_in_step() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let read = || std::fs::read_to_string(&file).expect("docs/metrics.md is there");
    let written = read();
    let (own, _) = written.split_once(MARK).expect("docs/metrics.md has its mark");
    let mut wanted = format!("{own}{MARK}");
    reference(&mut wanted);
    if std::env::var_os("LONGSHORE_WRITE_DOCS").is_some() {
        std::fs::write(&file, &wanted).expect("docs/metrics.md can be written");
    }
    assert!(read() == wanted, "docs/metrics.md is behind; write it with LONGSHORE_WRITE_DOCS=1");
}
