//! What tests of the programs ask of an exposition: read as a reader of it would, with everything that may be wrong with it.
//!
//! Leaves it to the tests what the values are to be.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::table::{METRICS, Metric, Program, Type};

/// A sample's name with its labels, as the text has it, and its value.
pub type Samples = BTreeMap<String, f64>;

/// GETs a path of an admin listener: status line and body.
///
/// # Panics
///
/// If there is no answer.
pub fn get(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("the admin listener listens");
    write!(stream, "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

/// Scrapes an admin listener.
///
/// # Panics
///
/// As [`read`].
pub fn scrape(address: SocketAddr) -> Samples {
    let (status, text) = get(address, "/metrics");
    assert_eq!(status, "HTTP/1.1 200 OK");
    read(&text)
}

/// Reads an exposition.
///
/// # Panics
///
/// Unless each line is a comment or a sample of a metric of the table whose type was said before, no sample stands there twice,
/// and buckets never fall.
pub fn read(text: &str) -> Samples {
    let (mut samples, mut typed, mut last) = (Samples::new(), "", 0.0);
    for line in text.lines() {
        if let Some(of) = line.strip_prefix("# TYPE ") {
            typed = of.split(' ').next().expect("a name");
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let value: f64 = value.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
        let metric = Metric::find(typed).unwrap_or_else(|| panic!("{typed} stands in no table"));
        assert!(sample.starts_with(metric.name), "{sample} under {typed}");
        if sample.contains("_bucket{") {
            last = if sample.contains("le=\"+Inf\"") || value >= last { value } else { panic!("{line} falls") };
        } else {
            last = 0.0;
        }
        assert!(samples.insert(sample.to_owned(), value).is_none(), "{sample} stands there twice");
    }
    samples
}

/// Every metric that the table has for a program is among its samples, but those that are `absent` in this test.
///
/// # Panics
///
/// If one is not.
pub fn check_whole(program: Program, samples: &Samples, absent: &[&str]) {
    let wanted = METRICS.iter().filter(|metric| metric.programs.contains(&program) && !absent.contains(&metric.name));
    for metric in wanted {
        let name = if metric.of == Type::Histogram { format!("{}_count", metric.name) } else { metric.name.to_owned() };
        assert!(samples.keys().any(|sample| sample.split('{').next() == Some(&*name)), "{name} is never exposed");
    }
}
