//! What the service does by itself: it looks, to show it in `/metrics`, and adds up what its answers are read from.
//!
//! Every replica watches for itself: what it shows is what it read. A source that cannot be read makes its gauges `NaN`, so that
//! no dashboard goes on showing the last good figure, and no alert takes silence for health.

mod figure_gauges;
mod ledger_check;
mod ledger_gauges;
mod older_days;
mod rest;
mod roll_up;

use std::sync::Arc;
use std::time::Duration;

use onering_service_kit::ServiceContext;
use onering_telemetry::MetricsError;

use self::figure_gauges::{FigureGauges, Side};
use self::ledger_check::LedgerCheck;
use self::rest::Rest;
use self::roll_up::RollUp;
use crate::operations::{read_delivery_figures, read_gateway_figures};
use crate::sources::{ReadError, Sources};

/// Oftener than Prometheus usually looks.
const FIGURES_EVERY: Duration = Duration::from_secs(5);
const LEDGER_EVERY: Duration = Duration::from_secs(30);
const ROLL_UP_EVERY: Duration = Duration::from_secs(10);

/// Declares the gauges and starts to keep them.
pub(crate) fn start(context: &ServiceContext, sources: &Sources) -> Result<(), MetricsError> {
    let gauges = FigureGauges::declare(&context.metrics, &sources.thresholds)?;
    let ledger = Arc::new(LedgerCheck::new(&context.metrics, sources.clone())?);
    let (of_gateways, of_deliveries) = ((sources.clone(), gauges.clone()), (sources.clone(), gauges));
    context.tasks.periodic("gateway figures", FIGURES_EVERY, move || {
        let (sources, gauges) = of_gateways.clone();
        async move { watch_gateways(&sources, &gauges).await }
    });
    let rest = Arc::new(Rest::default());
    context.tasks.periodic("delivery figures", FIGURES_EVERY, move || {
        let ((sources, gauges), rest) = (of_deliveries.clone(), Arc::clone(&rest));
        async move { watch_deliveries(&sources, &gauges, &rest).await }
    });
    context.tasks.periodic("ledger", LEDGER_EVERY, move || {
        let ledger = Arc::clone(&ledger);
        async move { ledger.check().await }
    });
    let roll_up = Arc::new(RollUp::new(sources.clone()));
    context.tasks.periodic("delivery totals", ROLL_UP_EVERY, move || {
        let roll_up = Arc::clone(&roll_up);
        async move { roll_up.round().await }
    });
    Ok(())
}

async fn watch_gateways(sources: &Sources, gauges: &FigureGauges) -> Result<(), ReadError> {
    let figures = read_gateway_figures(sources).await.inspect_err(|_| gauges.show_nothing(Side::Gateways))?;
    gauges.show_gateways(&figures, &sources.thresholds);
    Ok(())
}

async fn watch_deliveries(sources: &Sources, gauges: &FigureGauges, rest: &Rest) -> Result<(), ReadError> {
    let began = sources.clock.monotonic();
    if !rest.is_over(began) {
        return Ok(());
    }
    let read = read_delivery_figures(sources).await.inspect_err(|_| gauges.show_nothing(Side::Deliveries));
    rest.after(began, sources.clock.monotonic(), &read);
    gauges.show_deliveries(&read?, &sources.thresholds);
    Ok(())
}
