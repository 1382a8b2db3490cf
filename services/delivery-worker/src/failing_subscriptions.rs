//! Subscriptions that fail for days: their partners are warned, and in the end the platform disables them. What is due is
//! the policy's to say, by Postgres' clock; each step is one transaction that only one worker can win.

use std::sync::Arc;
use std::time::Duration;

use onering_delivery::{FailurePolicy, FailureStep};
use onering_service_kit::{Tasks, error_chain};
use onering_store::StoreError;
use onering_store::failing_subscriptions::{self as store, FailingSubscription};
use onering_telemetry::field;

use crate::context::Context;

/// How often it is looked: an index tells at once that nobody fails.
const EVERY: Duration = Duration::from_secs(10);

/// Begins to look.
pub(crate) fn start(context: &Arc<Context>, tasks: &Tasks, policy: FailurePolicy) {
    let (context, policy) = (Arc::clone(context), Arc::new(policy));
    tasks.periodic("failing subscriptions", EVERY, move || {
        let (context, policy) = (Arc::clone(&context), Arc::clone(&policy));
        async move { look(&context, &policy).await }
    });
}

async fn look(context: &Context, policy: &FailurePolicy) -> Result<(), StoreError> {
    let mut connection = context.pool.get().await?;
    for subscription in store::list(&mut connection, policy.first()).await? {
        if context.stop.is_cancelled() {
            return Ok(());
        }
        let step = policy.due(subscription.failing_for, subscription.warnings, subscription.since_warning);
        let Some(step) = step else { continue };
        match store::take(&mut connection, &subscription, step).await {
            Ok(true) => follow(context, &subscription, step).await,
            Ok(false) => {}
            // It is no reason to leave those behind it alone.
            Err(error) => tracing::error!(
                { field::SUBSCRIPTION_ID } = %subscription.webhook_id,
                { field::ERROR } = error_chain(&error),
                "a subscription that has been failing for days could not be warned of or disabled"
            ),
        }
    }
    Ok(())
}

/// What follows a step that was taken: the log, and the other processes.
async fn follow(context: &Context, subscription: &FailingSubscription, step: FailureStep) {
    let webhook_id = subscription.webhook_id;
    let since = subscription.failing_since.to_rfc3339();
    let what = match step {
        FailureStep::Warn { .. } => "a subscription has been failing for days: its partner is warned",
        FailureStep::Disable => {
            "a subscription has been failing for too long: it is disabled, and what it misses is held"
        }
    };
    tracing::warn!({ field::SUBSCRIPTION_ID } = %webhook_id, since, "{what}");
    if step == FailureStep::Disable {
        context.forget(webhook_id).await;
    }
}
