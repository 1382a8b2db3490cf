//! One attempt: sign, send, judge, hand in the result.

use onering_delivery::{Answer, Attempt, Failure, JudgePolicy, Reach, Rules, settle};
use onering_signing::{SigningInput, header, sign};
use onering_telemetry::field;
use onering_webhook_client::Request;
use onering_webhooks::{SignWith, sign_with};

use crate::breakers::Told;
use crate::context::Context;
use crate::lane_limit::{Ending, Over};
use crate::planted::Bug;
use crate::rotation_meter::Shown;
use crate::settling::Finished;
use crate::work_item::{OPERATOR_PAUSE, Ready};

/// Makes one attempt and hands in its result. Answers how it ended, if it was made.
pub(crate) async fn run(context: &Context, ready: Ready) -> Option<Over> {
    let Ready { item, target } = ready;
    let work = &item.work;
    tracing::info!(
        { field::DELIVERY_ID } = %work.delivery_id,
        { field::EVENT_ID } = %work.event_id,
        { field::SUBSCRIPTION_ID } = %work.webhook_id,
        { field::ATTEMPT } = work.lease.attempt(),
        "processing delivery"
    );
    let Some(keys) = &target.keys else {
        let due = context.database_clock.now().plus(OPERATOR_PAUSE);
        context.settling.submit(Finished::put_off(item, due));
        return None;
    };

    let event_id = work.event_id.to_string();
    // By the database's clock, as every instant a delivery is judged by: a worker whose own clock is wrong would stamp what
    // every receiver refuses as too old or too far ahead.
    let now = context.database_clock.now();
    let (started_at, started) = (now.to_utc(), context.clock.monotonic());
    let input = SigningInput { event_id: &event_id, unix_s: started_at.timestamp(), body: &item.body };
    // Only while a rotation overlaps is there a choice, and something to learn.
    let overlap = keys.overlap(now);
    let choice = if overlap { sign_with(&work.event_type, &item.body) } else { SignWith::Both };
    let signers = keys.signers(choice, now);
    let signatures = sign(signers, target.schemes, &input);
    let (delivery_id, attempt) = (work.delivery_id.to_string(), work.lease.attempt().to_string());
    let named: [(&str, &str); 4] = [
        (header::EVENT, &work.event_type),
        (header::DELIVERY_ID, &delivery_id),
        (header::ATTEMPT, &attempt),
        (header::EVENT_ID, &event_id),
    ];
    let headers: Vec<(&str, &str)> = signatures.iter().chain(named).collect();
    let (endpoint, timeout) = (&target.endpoint, target.timeout());
    let request = Request { endpoint, headers: &headers, body: &item.body, timeout, at: now };
    let sent = context.client.send(request).await;
    if overlap {
        let shown = Shown {
            signed_with_both: signers.both_sign(target.schemes),
            accepted: matches!(sent.answer.status_code(), Some(200..=299)),
            verified_with: sent.verified_with,
        };
        context.metrics.rotation_answer(&shown);
        context.rotations.count(work.webhook_id, keys.secret_id, shown);
    }

    let over = Over { started, ending: ending(&sent.answer) };
    let rules =
        Rules { schedule: &context.schedule, judge: JudgePolicy { retry_client_errors: target.retry_client_errors } };
    let reach = Reach::of(&sent.answer, &rules.judge);
    if let Some(reach) = reach.filter(|_| !context.planted.is(Bug::BreakerUnbounded)) {
        context.breakers.hear(Told { webhook_id: work.webhook_id, delivery_id: work.delivery_id, reach });
    }
    let attempt = Attempt { answer: sent.answer, started_at, duration: sent.took };
    let settlement = settle(work, attempt, &rules, context.database_clock.now(), context.clock.jitter());
    context.settling.submit(Finished::new(item, settlement));
    Some(over)
}

/// What the answer says of the receiver's pace.
const fn ending(answer: &Answer) -> Ending {
    match answer {
        Answer::Status { code: 200..=299, .. } => Ending::Taken,
        Answer::Failed { failure: Failure::Timeout, .. } => Ending::TimedOut,
        Answer::Status { .. } | Answer::Failed { .. } => Ending::Failed,
    }
}
