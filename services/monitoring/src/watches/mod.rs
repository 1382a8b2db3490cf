//! What the service looks at by itself, to show it in `/metrics`.
//!
//! Every replica watches for itself: what it shows is what it read. A source that cannot be read makes its gauges `NaN`, so that
//! no dashboard goes on showing the last good figure, and no alert takes silence for health.

mod figure_gauges;
mod ledger_check;
mod ledger_gauges;
mod older_days;

use std::sync::Arc;
use std::time::Duration;

use onering_service_kit::ServiceContext;
use onering_telemetry::MetricsError;

use self::figure_gauges::FigureGauges;
use self::ledger_check::LedgerCheck;
use crate::operations::read_figures;
use crate::sources::{ReadError, Sources};

/// Oftener than Prometheus usually looks.
const FIGURES_EVERY: Duration = Duration::from_secs(5);
const LEDGER_EVERY: Duration = Duration::from_secs(30);

/// Declares the gauges and starts to keep them.
pub(crate) fn start(context: &ServiceContext, sources: &Sources) -> Result<(), MetricsError> {
    let gauges = FigureGauges::declare(&context.metrics, &sources.thresholds)?;
    let ledger = Arc::new(LedgerCheck::new(&context.metrics, sources.clone())?);
    let sources = sources.clone();
    context.tasks.periodic("figures", FIGURES_EVERY, move || {
        let (sources, gauges) = (sources.clone(), gauges.clone());
        async move { watch_figures(&sources, &gauges).await }
    });
    context.tasks.periodic("ledger", LEDGER_EVERY, move || {
        let ledger = Arc::clone(&ledger);
        async move { ledger.check().await }
    });
    Ok(())
}

async fn watch_figures(sources: &Sources, gauges: &FigureGauges) -> Result<(), ReadError> {
    match read_figures(sources).await {
        Ok(figures) => {
            gauges.show(&figures, &sources.thresholds);
            Ok(())
        }
        Err(error) => {
            gauges.show_nothing();
            Err(error)
        }
    }
}
