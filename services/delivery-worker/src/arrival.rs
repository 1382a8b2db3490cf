//! New items are given their subscription and handed to the dispatcher, wherever they came from.

use std::time::Duration;

use onering_service_kit::error_chain;
use onering_telemetry::field;

use crate::context::Context;
use crate::events::{DispatcherHandle, Event};
use crate::settling::Finished;
use crate::work_item::{Item, OPERATOR_PAUSE, Ready};

/// Pause after Postgres failed.
const PAUSE: Duration = Duration::from_millis(500);

/// Looks up the subscriptions of new items and tells the dispatcher. Items of a subscription that is not understood are
/// put off, so that they do not come back for as long as nobody mends it.
pub(crate) async fn arrive(context: &Context, dispatcher: &DispatcherHandle, items: Vec<Item>) {
    if items.is_empty() {
        return;
    }
    let targets = match context.subscriptions.of(items.iter().map(|item| item.work.webhook_id)).await {
        Ok(targets) => targets,
        Err(error) => {
            // Nothing is acknowledged: after their leases the sweep finds these deliveries again.
            tracing::debug!({ field::ERROR } = error_chain(&error), "subscriptions cannot be read");
            return context.pause(PAUSE).await;
        }
    };
    let due = context.database_clock.now().plus(OPERATOR_PAUSE);
    let mut arrived = Vec::with_capacity(items.len());
    for item in items {
        match targets.get(&item.work.webhook_id) {
            Some(target) => arrived.push(Ready { item, target: target.clone() }),
            None => context.settling.submit(Finished::put_off(item, due)),
        }
    }
    dispatcher.tell(Event::Arrived(arrived));
}
