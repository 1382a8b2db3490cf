//! What the dispatcher is told, and by whom.

use onering_ids::SubscriptionId;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::lane_limit::Over;
use crate::lanes::{Freed, Vacancies};
use crate::preparation::Prepared;
use crate::work_item::Ready;

/// What the dispatcher is told.
#[derive(Debug)]
pub(crate) enum Event {
    /// New items from the stream or the sweep.
    Arrived(Vec<Ready>),
    /// An attempt is over and its lane has room again.
    AttemptOver(Freed),
    /// A batch was prepared.
    Prepared(Prepared),
    /// A batch is gone because its preparation panicked: these lanes have room again.
    PreparationLost(Vec<Freed>),
    /// The sweep asks how much it may bring, after all that it told before.
    Vacancies(oneshot::Sender<Vacancies>),
    /// The sweep left deliveries of this subscription behind for want of room, and put so many of them off.
    LeftBehind(SubscriptionId, u64),
}

/// Where to tell it. The channel is unbounded, but what passes through is not: every item holds one of a fixed number of
/// places.
#[derive(Debug, Clone)]
pub(crate) struct DispatcherHandle(UnboundedSender<Event>);

impl DispatcherHandle {
    /// A channel to a dispatcher to be.
    #[must_use]
    pub(crate) fn channel() -> (Self, UnboundedReceiver<Event>) {
        let (sender, receiver) = unbounded_channel();
        (Self(sender), receiver)
    }

    /// Tells the dispatcher; after it has ended, nobody needs to know any more.
    pub(crate) fn tell(&self, event: Event) {
        if self.0.send(event).is_err() {
            tracing::debug!("the dispatcher has ended");
        }
    }

    /// How much may be brought; none after the dispatcher has ended.
    pub(crate) async fn vacancies(&self) -> Option<Vacancies> {
        let (reply, answer) = oneshot::channel();
        self.tell(Event::Vacancies(reply));
        answer.await.ok()
    }
}

/// What a task owes the dispatcher when it is over. Dropping it tells, so that one that panics does not keep its lane
/// occupied for ever; its items are dropped with it, and their deliveries come back after their leases.
#[derive(Debug)]
pub(crate) struct Report {
    dispatcher: DispatcherHandle,
    owed: Option<Event>,
}

impl Report {
    /// Of an attempt.
    #[must_use]
    pub(crate) fn attempt(dispatcher: DispatcherHandle, ready: &Ready) -> Self {
        Self { dispatcher, owed: Some(Event::AttemptOver(ready.freed())) }
    }

    /// Says how an attempt ended; not said when its task panicked.
    pub(crate) const fn ended(&mut self, over: Over) {
        if let Some(Event::AttemptOver(freed)) = &mut self.owed {
            freed.over = Some(over);
        }
    }

    /// Of a preparation, which is lost unless [`prepared`](Self::prepared) is called.
    #[must_use]
    pub(crate) fn preparation(dispatcher: DispatcherHandle, batch: &[Ready]) -> Self {
        let freed = batch.iter().map(Ready::freed).collect();
        Self { dispatcher, owed: Some(Event::PreparationLost(freed)) }
    }

    /// Says what came of a preparation.
    pub(crate) fn prepared(&mut self, outcome: Prepared) {
        self.owed = Some(Event::Prepared(outcome));
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if let Some(event) = self.owed.take() {
            self.dispatcher.tell(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use onering_clock::Clock;

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_reports_all_the_same() {
        let (dispatcher, mut events) = DispatcherHandle::channel();
        let subscription = Clock::system().fresh_id::<SubscriptionId>();
        let freed = Freed { subscription, bytes: 7, over: None };
        let report = Report { dispatcher: dispatcher.clone(), owed: Some(Event::AttemptOver(freed)) };
        let attempt = tokio::spawn(async move {
            let _report = report;
            panic!("on purpose");
        });
        assert!(attempt.await.is_err());
        assert!(matches!(events.recv().await, Some(Event::AttemptOver(over)) if over == freed));
        let report = Report { dispatcher, owed: Some(Event::PreparationLost(vec![freed])) };
        let preparation = tokio::spawn(async move {
            let _report = report;
            panic!("on purpose");
        });
        assert!(preparation.await.is_err());
        assert!(matches!(events.recv().await, Some(Event::PreparationLost(lost)) if lost == [freed]));
    }
}
