//! Waking up when somebody published inside the product's own transaction.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, NoTls, Socket};

use crate::PoolConfig;
use crate::address::Tls;
use crate::pool::CONNECT_TIMEOUT;

/// The channel that `onering.publish_event` notifies when its caller commits.
const CHANNEL: &str = "onering_deliveries";
/// Waits between attempts to connect again: short at first, bounded.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Listens on a connection of its own until dropped, and opens another whenever that is lost.
///
/// A notification only says "look now": what there is to do is in the tables. So many in a row may be answered by one
/// wake-up, and after every (re)connection there is one too, since what was notified meanwhile is lost.
#[derive(Debug)]
pub struct Listener {
    woken: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Starts listening on the calling runtime. Never fails: it connects when it can, and logs when it cannot.
    #[must_use]
    pub fn start(config: &PoolConfig) -> Self {
        let woken = Arc::new(Notify::new());
        let task = tokio::spawn(keep_listening(config.clone(), Arc::clone(&woken)));
        Self { woken, task }
    }

    /// Waits for the next wake-up. May be dropped and called again without losing one.
    pub async fn wait(&self) {
        self.woken.notified().await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_listening(config: PoolConfig, woken: Arc<Notify>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let mut connected = false;
        let lost = match &config.address().tls {
            None => listen(&config, CONNECT_TIMEOUT, NoTls, &woken, &mut connected).await,
            Some(Tls(tls)) => listen(&config, CONNECT_TIMEOUT, tls.clone(), &woken, &mut connected).await,
        };
        if connected {
            pause = FIRST_PAUSE;
        }
        tracing::warn!(
            error = %lost,
            retry_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            "the connection that listens for published events is lost"
        );
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Why a connection is lost.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("the server ended it")]
    Ended,
    #[error(transparent)]
    Failed(#[from] tokio_postgres::Error),
    #[error("the server said nothing for {} s", CONNECT_TIMEOUT.as_secs())]
    Silent,
}

/// Listens until the connection ends; answers why. A server has so long to let it in and to take the command.
async fn listen<T>(config: &PoolConfig, limit: Duration, tls: T, woken: &Notify, connected: &mut bool) -> Lost
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Unpin,
{
    let mut late = std::pin::pin!(tokio::time::sleep(limit));
    let opened = tokio::select! {
        opened = config.address().config.connect(tls) => opened,
        () = &mut late => return Lost::Silent,
    };
    let (client, mut connection) = match opened {
        Ok(opened) => opened,
        Err(refused) => return refused.into(),
    };
    let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
    let command = format!("LISTEN {CHANNEL}");
    // The connection does its work only while it is polled, so the command runs beside it.
    let mut listening = std::pin::pin!(client.batch_execute(&command));
    let mut pending = true;
    loop {
        tokio::select! {
            answer = &mut listening, if pending => {
                pending = false;
                if let Err(refused) = answer {
                    return refused.into();
                }
                *connected = true;
                woken.notify_one();
            }
            message = messages.next() => match message {
                Some(Ok(AsyncMessage::Notification(_))) => woken.notify_one(),
                Some(Ok(_)) => {}
                Some(Err(lost)) => return lost.into(),
                None => return Lost::Ended,
            },
            () = &mut late, if pending => return Lost::Silent,
        }
    }
}

#[cfg(test)]
mod tests;
