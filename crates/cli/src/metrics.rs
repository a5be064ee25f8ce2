//! Metrics in the text form of Prometheus, read back.

use std::collections::BTreeMap;

/// All samples of one answer.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Sample>);

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// The buckets of one or several histograms with the same bounds, added up.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Histogram {
    /// Upper bound and how many were up to it, in ascending order; the last bound is infinite.
    buckets: Vec<(f64, f64)>,
}

impl Samples {
    /// Reads what can be read; other lines say nothing.
    pub(crate) fn parse(text: &str) -> Self {
        Samples(text.lines().filter_map(Sample::parse).collect())
    }

    /// All samples of a name.
    pub(crate) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// The sum of all samples of a name that have this label.
    pub(crate) fn sum(&self, name: &str, label: (&str, &str)) -> f64 {
        let samples = self
            .named(name)
            .filter(|sample| sample.label(label.0) == label.1);
        samples.map(|sample| sample.value).sum()
    }

    /// All histograms of a name, added up.
    pub(crate) fn histogram(&self, name: &str) -> Histogram {
        let mut buckets = Vec::<(f64, f64)>::new();
        for sample in self.named(&format!("{name}_bucket")) {
            let Some(bound) = bound(sample.label("le")) else {
                continue;
            };
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, count)) => *count += sample.value,
                None => buckets.push((bound, sample.value)),
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        Histogram { buckets }
    }
}

impl Sample {
    /// The label's value; empty when there is none.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    fn parse(line: &str) -> Option<Self> {
        if line.starts_with('#') {
            return None;
        }
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}')?),
            None => (series, ""),
        };
        Some(Sample {
            name: name.to_owned(),
            labels: parse_labels(labels)?,
            value: value.parse().ok()?,
        })
    }
}

impl Histogram {
    /// How many values there are.
    pub(crate) fn count(&self) -> u64 {
        let count = self.buckets.last().map_or(0.0, |(_, count)| *count);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count, sent as a decimal number"
        )]
        let count = count as u64;
        count
    }

    /// The bound that this share of the values is within.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        let (_, all) = self.buckets.last().filter(|(_, count)| *count > 0.0)?;
        let (bound, _) = self
            .buckets
            .iter()
            .find(|(_, count)| *count >= all * share)?;
        Some(*bound)
    }
}

fn bound(text: &str) -> Option<f64> {
    if text == "+Inf" {
        Some(f64::INFINITY)
    } else {
        text.parse().ok()
    }
}

/// `a="b",c="d"`; quotes and backslashes in values are escaped by backslashes.
fn parse_labels(text: &str) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    let mut rest = text.trim_end_matches(',');
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"")?;
        let (mut read, mut end, mut is_escaped) = (String::new(), None, false);
        for (at, character) in value.char_indices() {
            match character {
                '"' if !is_escaped => {
                    end = Some(at);
                    break;
                }
                '\\' if !is_escaped => is_escaped = true,
                other => {
                    read.push(other);
                    is_escaped = false;
                }
            }
        }
        rest = value[end? + 1..].trim_start_matches(',');
        labels.insert(name.to_owned(), read);
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    const TEXT: &str = r#"
# TYPE seen histogram
seen_bucket{origin="eu",le="0.001"} 8
seen_bucket{origin="eu",le="0.01"} 10
seen_bucket{origin="eu",le="+Inf"} 10
seen_bucket{origin="us",le="0.001"} 0
seen_bucket{origin="us",le="0.01"} 9
seen_bucket{origin="us",le="+Inf"} 10
plain 3
entries_total{link="a,b",result="ap\"plied"} 7
"#;

    #[test]
    fn samples_are_read_with_their_labels() {
        let samples = Samples::parse(TEXT);
        assert_eq!(samples.named("plain").next().unwrap().value, 3.0);
        assert_eq!(
            samples.named("entries_total").next().unwrap().label("link"),
            "a,b"
        );
        assert_eq!(samples.sum("entries_total", ("result", "ap\"plied")), 7.0);
        assert_eq!(samples.sum("entries_total", ("result", "other")), 0.0);
    }

    #[test]
    fn histograms_add_up() {
        let histogram = Samples::parse(TEXT).histogram("seen");
        assert_eq!(histogram.count(), 20);
        assert_eq!(histogram.quantile(0.4), Some(0.001));
        assert_eq!(histogram.quantile(0.5), Some(0.01));
        assert_eq!(histogram.quantile(1.0), Some(f64::INFINITY));
        assert_eq!(Samples::parse("").histogram("seen").quantile(0.5), None);
    }
}
