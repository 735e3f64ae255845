//! A page of metrics as it is being filled, and the text it becomes.
//!
//! Invariant: what is put on it stands in the table, with these labels; that a program breaks it is a bug that its tests
//! meet, since every scrape goes through here.

use prometheus::TextEncoder;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram as Buckets, LabelPair, Metric as Value, MetricFamily, MetricType,
};
use queue_core::model::Histogram;

use crate::table::{METRICS, Metric, Program, Type};

/// What a page is, for HTTP.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// Metrics and their values.
#[derive(Debug)]
pub struct Page {
    program: Program,
    /// As the table, each with its values so far.
    values: Vec<Vec<Value>>,
}

impl Page {
    /// A page of this program, without values.
    pub fn new(program: Program) -> Self {
        Self { program, values: vec![Vec::new(); METRICS.len()] }
    }

    /// Puts the value of a gauge or counter.
    ///
    /// # Panics
    ///
    /// If the table does not name it for this program, with so many labels.
    #[expect(clippy::cast_precision_loss, reason = "the exposition knows floating point alone")]
    pub fn put(&mut self, name: &str, labels: &[&str], value: u64) {
        self.put_exactly(name, labels, value as f64);
    }

    /// Puts the value of a gauge or counter that may be a fraction.
    ///
    /// # Panics
    ///
    /// As [`Page::put`].
    pub fn put_exactly(&mut self, name: &str, labels: &[&str], value: f64) {
        let (metric, mut put) = self.begin(name, labels);
        if metric.of == Type::Counter {
            let mut counter = Counter::default();
            counter.set_value(value);
            put.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            put.set_gauge(gauge);
        }
        self.end(metric, put);
    }

    /// Puts a histogram; its figures are `parts` to the metric's unit: 1,000 of milliseconds to seconds.
    ///
    /// # Panics
    ///
    /// As [`Page::put`].
    #[expect(clippy::cast_precision_loss, reason = "the exposition knows floating point alone")]
    pub fn histogram(&mut self, name: &str, labels: &[&str], figures: &Histogram, parts: u64) {
        let (metric, mut put) = self.begin(name, labels);
        let unit = |value: u64| value as f64 / parts as f64;
        let mut below = 0;
        let bucket = |(bound, count): (&u64, &u64)| {
            below += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(unit(*bound));
            bucket.set_cumulative_count(below);
            bucket
        };
        let mut buckets = Buckets::default();
        buckets.set_bucket(figures.bounds.iter().zip(&figures.counts).map(bucket).collect());
        buckets.set_sample_count(figures.count());
        buckets.set_sample_sum(unit(figures.sum));
        put.set_histogram(buckets);
        self.end(metric, put);
    }

    fn begin(&self, name: &str, labels: &[&str]) -> (&'static Metric, Value) {
        let metric = Metric::find(name).unwrap_or_else(|| panic!("{name} stands in no table"));
        assert!(metric.programs.contains(&self.program), "{name} is not of {}", self.program.as_str());
        assert_eq!(metric.labels.len(), labels.len(), "labels of {name}");
        let pair = |(name, value): (&&str, &&str)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        };
        let mut value = Value::default();
        value.set_label(metric.labels.iter().zip(labels).map(pair).collect());
        (metric, value)
    }

    fn end(&mut self, metric: &'static Metric, value: Value) {
        let at = METRICS.iter().position(|other| other.name == metric.name).expect("it was found there");
        self.values[at].push(value);
    }

    /// The text that Prometheus reads.
    pub fn text(self) -> String {
        let filled = METRICS.iter().zip(self.values).filter(|(_, values)| !values.is_empty());
        let families: Vec<MetricFamily> = filled.map(|(metric, values)| family(metric, values)).collect();
        let mut text = String::new();
        TextEncoder::new().encode_utf8(&families, &mut text).expect("each family has a name and values");
        text
    }
}

fn family(metric: &Metric, values: Vec<Value>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(metric.name.to_owned());
    family.set_help(metric.help.to_owned());
    family.set_field_type(match metric.of {
        Type::Counter => MetricType::COUNTER,
        Type::Gauge => MetricType::GAUGE,
        Type::Histogram => MetricType::HISTOGRAM,
    });
    family.set_metric(values);
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_prometheus_reads() {
        let mut page = Page::new(Program::Server);
        page.put("longshore_jobs", &["a\"b\\c\nd", "waiting"], 7);
        page.put("longshore_requests_total", &[], 9);
        let mut figures = Histogram::new(&[1, 1_500]);
        [1, 1_500, 2_000].into_iter().for_each(|value| figures.add(value));
        page.histogram("longshore_wait_seconds", &[], &figures, 1_000);
        let text = page.text();
        let values: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            values,
            [
                r#"longshore_jobs{queue="a\"b\\c\nd",state="waiting"} 7"#,
                r#"longshore_wait_seconds_bucket{le="0.001"} 1"#,
                r#"longshore_wait_seconds_bucket{le="1.5"} 2"#,
                r#"longshore_wait_seconds_bucket{le="+Inf"} 3"#,
                "longshore_wait_seconds_sum 3.501",
                "longshore_wait_seconds_count 3",
                "longshore_requests_total 9",
            ]
        );
        assert!(text.contains("# TYPE longshore_requests_total counter\n"), "{text}");
        assert!(text.contains("# HELP longshore_jobs Jobs of a queue"), "{text}");
    }
}
