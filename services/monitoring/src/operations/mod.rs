//! What the routes answer with: one read each, from rows to an answer's shape.

mod list_api_keys;
mod list_recent_deliveries;
mod read_figures;
mod read_ledger;
mod read_webhook_health;

pub(crate) use list_api_keys::list_api_keys;
pub(crate) use list_recent_deliveries::list_recent_deliveries;
pub(crate) use read_figures::{
    DeliveryFigures, GatewayFigures, read_alerts, read_delivery_figures, read_external_metrics, read_gateway_figures,
    read_webhook_metrics,
};
pub(crate) use read_ledger::{read_days, read_ledger, read_partner_ledger, read_unbalanced};
pub(crate) use read_webhook_health::read_webhook_health;
