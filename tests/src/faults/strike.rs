//! How each fault is done, and undone.

use std::time::Duration;

use onering_dev_servers::Signal;
use onering_testkit::eventually;

use super::fault::Fault;
use crate::stack::Stack;

/// How long anything a strike waits for may take.
const PATIENCE: Duration = Duration::from_secs(75);
/// With so many entries in the stream, of one or more deliveries each, a FLUSHALL loses some.
const WORTH_FLUSHING: u64 = 50;
/// What a slow line adds to each piece of data, in each direction. Redis is given up after 100 ms by the rate limiter.
const SLOW_POSTGRES: Duration = Duration::from_millis(100);
const SLOW_REDIS: Duration = Duration::from_millis(150);
/// How far the wrong clock is off.
const SKEW_SECONDS: &str = "600";
/// The first worker's variable for that.
const SKEW: &str = "ONERING_CLOCK_SKEW_SECONDS";

impl Fault {
    /// Strikes. What lasts, lasts so long and is over when this returns.
    pub(super) async fn strike(self, stack: &mut Stack, lasts: Duration) {
        match self {
            Self::KillWorker => stack.workers[0].restart().await,
            Self::KillGateway => stack.gateways[0].restart().await,
            Self::KillAdmin => stack.admin.restart().await,
            Self::KillMonitoring => stack.monitoring.restart().await,
            Self::RestartPostgres => stack.database.server().restart().await.unwrap(),
            Self::CrashPostgres => {
                stack.database.server().kill9();
                stack.database.server().restart().await.unwrap();
            }
            Self::CutPostgres | Self::PausePostgres | Self::SlowPostgres | Self::CutRedis | Self::SlowRedis => {
                self.spoil_line(stack);
                hold(lasts).await;
                stack.postgres_line().restore();
                stack.redis_line().restore();
            }
            Self::FlushRedis => flush(stack).await,
            Self::RestartRedis => stack.redis.restart().await.unwrap(),
            Self::CrashRedis => {
                stack.redis.kill9();
                stack.redis.restart().await.unwrap();
            }
            Self::PauseRedis => {
                stack.redis.freeze();
                hold(lasts).await;
                stack.redis.thaw();
            }
            // They are bad from the beginning of the trial.
            Self::HangingReceivers | Self::HostileReceivers => {}
            Self::ClockAhead => set_clock(stack, SKEW_SECONDS).await,
            Self::ClockBehind => set_clock(stack, &format!("-{SKEW_SECONDS}")).await,
        }
    }

    fn spoil_line(self, stack: &Stack) {
        match self {
            Self::CutPostgres => stack.postgres_line().cut(),
            Self::PausePostgres => stack.postgres_line().pause(),
            Self::SlowPostgres => stack.postgres_line().slow(SLOW_POSTGRES),
            Self::CutRedis => stack.redis_line().cut(),
            _ => stack.redis_line().slow(SLOW_REDIS),
        }
    }

    /// Puts right what outlasts the strike; answers what was not as it should be.
    pub(super) async fn heal(self, stack: &mut Stack) -> Option<String> {
        if !matches!(self, Self::ClockAhead | Self::ClockBehind) {
            return None;
        }
        let delivered = delivered_by_first_worker(stack).await;
        set_clock(stack, "0").await;
        (delivered == 0.0)
            .then(|| "the worker with the wrong clock delivered nothing, so this proves nothing".to_owned())
    }
}

/// The fault itself takes time; nothing is waited for.
async fn hold(lasts: Duration) {
    tokio::time::sleep(lasts).await;
}

/// Only what waits in Redis can be lost, so the workers stand still until something does.
async fn flush(stack: &mut Stack) {
    stack.workers.iter_mut().for_each(|worker| worker.signal(Signal::STOP));
    eventually(PATIENCE, "deliveries wait in Redis", async || {
        let length = stack.redis_command("XLEN onering:deliveries").await;
        if length.trim_start_matches(':').parse::<u64>().is_ok_and(|length| length >= WORTH_FLUSHING) {
            Ok(())
        } else {
            Err(length)
        }
    })
    .await;
    assert_eq!(stack.redis_command("FLUSHALL").await, "+OK");
    stack.workers.iter_mut().for_each(|worker| worker.signal(Signal::CONT));
}

/// Ends the first worker in an orderly way and starts it with another clock.
async fn set_clock(stack: &mut Stack, skew_seconds: &str) {
    let worker = &mut stack.workers[0];
    assert_eq!(worker.terminate().await.code(), Some(0), "{}", worker.logs());
    worker.set_env(SKEW, skew_seconds);
    worker.restart().await;
}

/// Since it was last started.
async fn delivered_by_first_worker(stack: &Stack) -> f64 {
    stack.workers[0].metric("onering_deliveries_total", &[("outcome", "DELIVERED")]).await.unwrap_or_default()
}
