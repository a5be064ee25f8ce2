//! Lag, visibility and conflicts, read from every region's `/metrics`.

use std::collections::BTreeMap;

use crate::failure::Failure;
use crate::metrics::Samples;
use crate::output;
use crate::target::Place;
use crate::wording;

/// One row a region, then the conflicts by kind.
pub(crate) async fn table(places: &[Place]) -> Result<String, Failure> {
    let (mut rows, mut conflicts) = (Vec::new(), BTreeMap::<_, Vec<String>>::new());
    for place in places {
        let samples = Samples::parse(&place.client.metrics().await?);
        let lag = samples
            .named("atoll_replication_lag_seconds")
            .map(|sample| sample.value);
        let visibility = samples.histogram("atoll_replication_visibility_seconds");
        let quantile = |share| {
            visibility.quantile(share).map_or_else(
                || "-".to_owned(),
                |bound| format!("≤ {}", wording::seconds(bound)),
            )
        };
        rows.push([
            place.name(),
            wording::seconds(lag.fold(0.0, f64::max)),
            quantile(0.5),
            quantile(0.99),
            wording::count(visibility.count()),
        ]);
        for sample in samples.named("atoll_conflicts_total") {
            let kind = [
                sample.label("collection"),
                sample.label("kind"),
                sample.label("outcome"),
            ];
            conflicts
                .entry(kind.map(ToOwned::to_owned))
                .or_default()
                .push(format!("{}", sample.value));
        }
    }
    let conflicts: Vec<_> = conflicts
        .into_iter()
        .map(|([collection, kind, outcome], counts)| {
            [collection, kind, outcome, counts.join(" / ")]
        })
        .collect();
    let regions: Vec<_> = places.iter().map(Place::name).collect();
    let seen_in = format!("SEEN IN {}", regions.join(" / "));
    Ok(format!(
        "{}\n\n{}",
        output::table(
            [
                "REGION",
                "LAG NOW",
                "VISIBLE P50",
                "VISIBLE P99",
                "ENTRIES OF OTHERS"
            ],
            &rows
        ),
        output::table(["COLLECTION", "CONFLICT", "OUTCOME", &seen_in], &conflicts),
    ))
}
