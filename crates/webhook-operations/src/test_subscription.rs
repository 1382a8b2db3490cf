use std::time::Duration;

use onering_delivery::{Circumstances, HeldReason};
use onering_ids::{DeliveryId, EventId, SubscriptionId};
use onering_problem::{Code, Problem};
use onering_store::deliveries::{self, DeliveryWithAttempts, TEST_EVENT_TYPE, TestDelivery};
use onering_store::monitoring_reads::circuit_of;
use onering_store::partners::{self, PartnerStatus};
use onering_store::transaction;
use onering_webhooks::{EventData, EventType, SignWith, Subscription, envelope, test_data};
use serde::Deserialize;
use serde_json::{json, value::to_raw_value};
use utoipa::ToSchema;

use crate::audit_stamp::AuditedChange;
use crate::delivery_view::AttemptView;
use crate::error::OperationError;
use crate::operations::WebhookOperations;
use crate::read_subscriptions::find;
use crate::scope::Scope;
use crate::test_view::TestResultView;

/// What the worker may take beside the attempt itself.
const GRACE: Duration = Duration::from_secs(2);
/// The first and the longest pause between two looks at the delivery.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// How a test is to be signed. May be left out altogether.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = TestSubscription)]
pub struct TestInput {
    /// `both`, as any delivery, by default; or `current`: with the current secret alone. While a rotation overlaps, a 2xx
    /// answer to such a test confirms that the receiver takes the new secret.
    #[schema(value_type = Option<String>, pattern = "^(both|current)$", example = "current")]
    pub sign_with: Option<SignWith>,
}

impl WebhookOperations {
    /// Sends a real `webhook.test` event to this subscription alone, through the worker as any other, and waits for its first
    /// attempt: as long as the subscription's timeout and two seconds.
    ///
    /// # Errors
    /// `CONFLICT` when nothing would be sent now, saying why; `NOT_FOUND`; [`OperationError::Store`].
    pub async fn test_subscription(
        &self,
        scope: Scope<'_>,
        webhook_id: SubscriptionId,
        input: TestInput,
    ) -> Result<TestResultView, OperationError> {
        let subscription = self.testable(scope, webhook_id).await?;
        let sign_with = input.sign_with.unwrap_or_default();
        let (event_id, delivery_id) = self.send_test(scope, webhook_id, sign_with).await?;
        let found = self.first_attempt(delivery_id, subscription.settings.timeout + GRACE).await?;
        let delivery = found.delivery;
        Ok(TestResultView {
            event_id,
            delivery_id,
            status: delivery.status,
            delivered: delivery.delivered_at.is_some(),
            attempt: found.attempts.into_iter().next().map(|attempt| AttemptView::new(scope, attempt)),
        })
    }

    /// The subscription, if what is written for it now goes out now.
    async fn testable(&self, scope: Scope<'_>, webhook_id: SubscriptionId) -> Result<Subscription, OperationError> {
        let mut connection = self.connection().await?;
        let subscription = find(&mut connection, scope, webhook_id).await?;
        let owner = &subscription.owner_id;
        let partner = partners::get(&mut connection, owner).await?;
        let circuit = circuit_of(&mut connection, webhook_id, self.clock().now()).await?;
        let switches = self.parts().flags.current();
        let circumstances = Circumstances {
            subscription: subscription.standing(),
            partner_active: partner.as_ref().is_some_and(|partner| partner.status == PartnerStatus::Active),
            in_cohort: switches.webhook_cohort.contains(owner, partner.is_some_and(|partner| partner.canary)),
            delivery_on: switches.delivery,
            breaker_open: circuit.open_until.is_some(),
        };
        match circumstances.hold() {
            Some(reason) => Err(Problem::new(Code::Conflict).detail(why_not(reason)).field("status").into()),
            None => Ok(subscription),
        }
    }

    async fn send_test(
        &self,
        scope: Scope<'_>,
        webhook_id: SubscriptionId,
        sign_with: SignWith,
    ) -> Result<(EventId, DeliveryId), OperationError> {
        let event_id: EventId = self.clock().fresh_id();
        let delivery_id = sibling(event_id, self.clock().fresh_id());
        let occurred_at = self.clock().now();
        let data = to_raw_value(&test_data(webhook_id, sign_with))?;
        let data = EventData::new(data).map_err(|wrong| Problem::new(Code::Internal).detail(wrong.to_string()))?;
        let body = envelope(event_id, &EventType::webhook_test(), occurred_at, &data);
        let test = TestDelivery {
            owner: scope.owner(),
            webhook_id,
            event_id,
            delivery_id,
            body: &body,
            occurred_at,
            lease: self.parts().lease,
            hold: None,
        };
        let mut connection = self.connection().await?;
        let inserted = transaction(&mut connection, async |connection| {
            let inserted = deliveries::insert_test(connection, test).await?;
            let inserted = inserted.ok_or_else(|| OperationError::not_found("subscription"))?;
            if let Some(stamp) = scope.stamp() {
                let change = AuditedChange {
                    action: "subscription.test",
                    target_type: "subscription",
                    target_id: webhook_id.to_string(),
                    before: None,
                    after: Some(json!({ "delivery_id": delivery_id, "event_type": TEST_EVENT_TYPE })),
                };
                stamp.append(connection, self.clock(), change).await?;
            }
            Ok::<_, OperationError>(inserted)
        })
        .await?;
        if let Some((work, body)) = inserted.queued {
            self.queue(work, body).await;
        }
        Ok((event_id, delivery_id))
    }

    /// The delivery once an attempt is written down, or as it is when the patience ends. No connection is kept in between.
    async fn first_attempt(
        &self,
        delivery_id: DeliveryId,
        patience: Duration,
    ) -> Result<DeliveryWithAttempts, OperationError> {
        let deadline = self.clock().monotonic() + patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let found = deliveries::get_any_owner(&mut *self.connection().await?, delivery_id).await?;
            let found = found.ok_or_else(|| OperationError::not_found("delivery"))?;
            // By the delivery's own count: it is read before its attempts, which may be a moment newer.
            let over = found.delivery.status.is_terminal() || found.delivery.attempt_count > 0;
            if over || self.clock().monotonic() >= deadline {
                return Ok(found);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// An id of the event's own millisecond: an event and its deliveries lie in the same partition.
fn sibling(event_id: EventId, other: DeliveryId) -> DeliveryId {
    const TIME: u128 = !0 << 80;
    let bits = (event_id.uuid().as_u128() & TIME) | (other.uuid().as_u128() & !TIME);
    DeliveryId::from_uuid(uuid::Uuid::from_u128(bits))
}

fn why_not(reason: HeldReason) -> &'static str {
    match reason {
        HeldReason::DeliveryOff => "Delivery is switched off: a test would not be sent.",
        HeldReason::OutsideCohort => "The partner is outside the webhook rollout: a test would not be sent.",
        HeldReason::SubscriptionPaused => "The subscription is paused: a test would not be sent.",
        HeldReason::SubscriptionDisabled => "The subscription is disabled: a test would not be sent.",
        HeldReason::PartnerDisabled => "The partner is disabled: a test would not be sent.",
        HeldReason::BreakerOpen => "The subscription's breaker is open: a test would not be sent.",
    }
}
