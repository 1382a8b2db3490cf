//! The running parts: started together, watched, and taken apart in order: nothing new, then what is under way, then its
//! results.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use onering_service_kit::{ServiceContext, error_chain};
use onering_telemetry::field;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::breakers::Told;
use crate::context::Context;
use crate::events::DispatcherHandle;
use crate::settling::Finished;
use crate::{breakers, dispatcher, intake, settling, sweep};

/// In `--once` mode, how often it is looked whether all is done.
const IDLE_CHECK: Duration = Duration::from_millis(50);
/// What results get to be written, however long the attempts took.
const LEAST_PATIENCE: Duration = Duration::from_secs(2);

/// A part ended before it was told to.
#[derive(Debug, thiserror::Error)]
#[error("a part of the worker ended by itself, and the worker cannot do without it")]
pub(crate) struct Broken;

/// What attempts come to, for those who take it in.
pub(crate) struct Results {
    /// To be written.
    pub(crate) settling: UnboundedReceiver<Finished>,
    /// What they say about receivers.
    pub(crate) breakers: UnboundedReceiver<Told>,
}

/// The running parts, in the order they are stopped.
pub(crate) struct Worker {
    context: Arc<Context>,
    /// Take things up: stopped first.
    sources: Vec<JoinHandle<()>>,
    dispatcher: JoinHandle<()>,
    stop_dispatcher: CancellationToken,
    /// Take results in, of which there are none after the dispatcher has ended.
    settling: JoinHandle<()>,
    reporting: JoinHandle<()>,
    end_results: CancellationToken,
    broken: Arc<AtomicBool>,
}

impl Worker {
    /// Starts all parts.
    pub(crate) fn start(service: &ServiceContext, context: &Arc<Context>, results: Results) -> Self {
        let (handle, events) = DispatcherHandle::channel();
        let (stop_dispatcher, end_results) = (CancellationToken::new(), CancellationToken::new());
        let consumer = service.queue.consumer(context.instance.clone());
        let broken = Arc::<AtomicBool>::default();
        let fuse = |part| Fuse {
            part,
            told: context.stop.clone(),
            process: service.stop.clone(),
            broken: Arc::clone(&broken),
        };
        let dispatching = dispatcher::run(Arc::clone(context), handle.clone(), events, stop_dispatcher.clone());
        Self {
            sources: vec![
                fuse("intake").spawn(intake::run(Arc::clone(context), consumer, handle.clone())),
                fuse("sweep").spawn(sweep::run(Arc::clone(context), handle)),
            ],
            dispatcher: fuse("dispatcher").spawn(dispatching),
            settling: fuse("settling").spawn(settling::run(Arc::clone(context), results.settling, end_results.clone())),
            reporting: fuse("breakers").spawn(breakers::report(
                Arc::clone(context),
                results.breakers,
                end_results.clone(),
            )),
            context: Arc::clone(context),
            stop_dispatcher,
            end_results,
            broken,
        }
    }

    /// Waits until nothing is due and nothing is under way.
    pub(crate) async fn until_idle(&self, stop: &CancellationToken) {
        let tally = &self.context.tally;
        let mut quiet_since = None;
        while !stop.is_cancelled() {
            let now = tally.snapshot();
            if !now.is_quiet(self.context.database_clock.now()) {
                quiet_since = None;
            } else if quiet_since.get_or_insert(now).nothing_came_until(&now) {
                return;
            } else if quiet_since.is_some_and(|quiet| quiet.something_came_until(&now)) {
                quiet_since = Some(now);
            }
            tokio::select! {
                () = tokio::time::sleep(IDLE_CHECK) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Stops in order. What is under way may take `patience` in all; what cannot be written then is left to others.
    ///
    /// # Errors
    /// [`Broken`] when it stops because a part ended by itself.
    pub(crate) async fn stop(self, patience: Duration) -> Result<(), Broken> {
        let told = self.context.clock.monotonic();
        self.context.stop.cancel();
        let orderly = async {
            for source in self.sources {
                ended("a source of work", source.await);
            }
            self.stop_dispatcher.cancel();
            ended("the dispatcher", self.dispatcher.await);
        };
        if tokio::time::timeout(patience, orderly).await.is_err() {
            tracing::warn!("attempts under way did not end in time; their deliveries are taken up by others");
        }
        self.end_results.cancel();
        // A result that is not written is a delivery that is sent twice: worth all the time that is left.
        let left = patience.saturating_sub(self.context.clock.monotonic().saturating_duration_since(told));
        let left = left.max(LEAST_PATIENCE);
        let (settled, reported) =
            tokio::join!(tokio::time::timeout(left, self.settling), tokio::time::timeout(left, self.reporting));
        if let Ok(result) = reported {
            ended("telling the breakers", result);
        }
        match settled {
            Ok(result) => ended("settling", result),
            Err(_) => {
                tracing::error!("results could not be written in time; their deliveries are sent again");
                self.context.abandon.cancel();
            }
        }
        if self.broken.load(Ordering::Acquire) { Err(Broken) } else { Ok(()) }
    }
}

fn ended(what: &str, result: Result<(), tokio::task::JoinError>) {
    if let Err(error) = result {
        tracing::error!({ field::ERROR } = error_chain(&error), "{what} ended badly");
    }
}

/// Ends the process when a part ends that was not told to, as one that panics: a worker that answers for its health and
/// delivers nothing would be worse than none, which is started again.
struct Fuse {
    part: &'static str,
    told: CancellationToken,
    process: CancellationToken,
    broken: Arc<AtomicBool>,
}

impl Fuse {
    fn spawn(self, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        tokio::spawn(async move {
            let _fuse = self;
            work.await;
        })
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        if !self.told.is_cancelled() {
            tracing::error!(part = self.part, "a part of the worker ended by itself; stopping");
            self.broken.store(true, Ordering::Release);
            self.process.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_panics_ends_the_process_and_one_that_was_told_does_not() {
        for (told, breaks) in [(false, true), (true, false)] {
            let (process, broken) = (CancellationToken::new(), Arc::<AtomicBool>::default());
            let fuse = Fuse {
                part: "test",
                told: process.child_token(),
                process: process.clone(),
                broken: Arc::clone(&broken),
            };
            if told {
                fuse.told.cancel();
            }
            assert!(fuse.spawn(async { panic!("on purpose") }).await.is_err());
            assert_eq!((process.is_cancelled(), broken.load(Ordering::Acquire)), (breaks, breaks));
        }
    }
}
