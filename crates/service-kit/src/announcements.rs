//! One listener a process, heard by everybody in it.

use onering_queue::{Announcement, Queue};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use crate::tasks::Tasks;

/// How many announcements may wait for a slow hearer; one who is slower is told to forget everything.
const WAITING: usize = 1_024;

/// The announcements of all processes, in this one. Clones share the listener.
#[derive(Debug, Clone)]
pub struct AnnouncementBus {
    sender: broadcast::Sender<Announcement>,
}

/// One hearer.
#[derive(Debug)]
pub struct AnnouncementReceiver {
    receiver: broadcast::Receiver<Announcement>,
}

impl AnnouncementBus {
    /// Begins to listen. One connection serves all hearers.
    pub(crate) fn start(queue: &Queue, tasks: &Tasks) -> Self {
        let (sender, _) = broadcast::channel(WAITING);
        let (queue, heard) = (queue.clone(), sender.clone());
        tasks.spawn("announcements", move |stop| {
            let (mut announcements, heard) = (queue.announcements(), heard.clone());
            async move {
                while let Some(announcement) = stop.run_until_cancelled(announcements.next()).await {
                    // An error means that nobody hears, which is nobody's loss.
                    let _heard_by = heard.send(announcement);
                }
            }
        });
        Self { sender }
    }

    /// Hears from now on. Subscribe before reading what the announcements are about, so that no change falls between.
    #[must_use]
    pub fn subscribe(&self) -> AnnouncementReceiver {
        AnnouncementReceiver { receiver: self.sender.subscribe() }
    }
}

impl AnnouncementReceiver {
    /// Waits for the next announcement. [`Announcement::Reconnected`] means that any number were missed: forget all that is
    /// cached. May be dropped at any point and called again.
    pub async fn next(&mut self) -> Announcement {
        match self.receiver.recv().await {
            Ok(announcement) => announcement,
            Err(RecvError::Lagged(missed)) => {
                tracing::debug!(missed, "too slow for the announcements: forgetting everything");
                Announcement::Reconnected
            }
            // The process is ending: there is nothing more to hear.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_is_too_slow_is_told_to_forget_everything() {
        let (sender, receiver) = broadcast::channel(2);
        let mut hearer = AnnouncementReceiver { receiver };
        for _ in 0..3 {
            sender.send(Announcement::Keys).unwrap();
        }
        assert_eq!(hearer.next().await, Announcement::Reconnected);
        assert_eq!(hearer.next().await, Announcement::Keys);
    }
}
