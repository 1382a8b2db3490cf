//! One attempt: sign, send, judge, hand in the result.

use std::borrow::Cow;
use std::time::Duration;

use onering_delivery::{Attempt, JudgePolicy, Rules, Settlement, settle};
use onering_signing::{SigningInput, header, sign};
use onering_webhook_client::Request;

use crate::context::Context;
use crate::settling::Finished;
use crate::work_item::Ready;

/// When a subscription's secrets cannot be opened, its deliveries wait this long; an operator has to act.
const UNSIGNABLE_PAUSE: Duration = Duration::from_secs(30);

/// Makes one attempt and hands in its result.
pub async fn run(context: &Context, ready: Ready) {
    let Ready { item, target } = ready;
    let work = &item.work;
    tracing::info!(
        delivery_id = %work.delivery_id,
        event_id = %work.event_id,
        webhook_id = %work.webhook_id,
        attempt = work.lease.attempt(),
        "processing delivery"
    );
    let Some(secrets) = &target.secrets else {
        let until = context.database_clock.now().plus(UNSIGNABLE_PAUSE);
        let settlement = Settlement::defer(work, until);
        return context.settling.submit(Finished::unsent(item, settlement));
    };

    let event_id = work.event_id.to_string();
    let started_at = context.clock.now();
    let input = SigningInput { event_id: &event_id, unix_s: started_at.timestamp(), body: &item.body };
    let mut headers = target.headers.clone();
    headers.extend(sign(secrets, target.schemes, &input).into_iter().map(|(name, value)| (Cow::Borrowed(name), value)));
    headers.push((Cow::Borrowed(header::EVENT), work.event_type.to_string()));
    headers.push((Cow::Borrowed(header::DELIVERY_ID), work.delivery_id.to_string()));
    headers.push((Cow::Borrowed(header::ATTEMPT), work.lease.attempt().to_string()));
    headers.push((Cow::Borrowed(header::EVENT_ID), event_id));

    context.metrics.in_flight.inc();
    let request = Request { url: target.url.clone(), headers, body: item.body.clone(), timeout: target.timeout() };
    let sent = context.client.send(request).await;
    context.metrics.in_flight.dec();

    let rules = Rules {
        schedule: &context.schedule,
        judge: JudgePolicy { retry_client_errors: target.retry_client_errors },
    };
    let attempt = Attempt { answer: sent.answer, started_at, duration: sent.took };
    let settlement = settle(work, attempt, &rules, context.database_clock.now(), context.clock.jitter());
    context.settling.submit(Finished::attempted(item, settlement));
}
