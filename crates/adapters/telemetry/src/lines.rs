//! [`Lines`]: log lines on their way out, in larger pieces.
//!
//! A busy worker logs a line a delivery, and a system call a line cost more than the line. So lines gather for a moment and go out
//! together; whatever is a warning or worse goes out at once, with all that came before it.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line may wait for others. It is lost with a process that is killed within it.
const LONGEST_WAIT: Duration = Duration::from_millis(50);
/// So many bytes go out at once.
const FULL: usize = 32 * 1024;

/// Where lines gather. Clones share it.
#[derive(Debug)]
pub(crate) struct Lines<W>(Arc<Shared<W>>);

#[derive(Debug)]
struct Shared<W> {
    gathered: Mutex<Gathered<W>>,
    /// There is a first line, or an end.
    changed: Condvar,
}

#[derive(Debug)]
struct Gathered<W> {
    bytes: Vec<u8>,
    out: W,
    /// Lines go out by themselves from now on.
    is_ending: bool,
}

/// One line that is written. It goes out when this is dropped, or a little later.
pub(crate) struct Line<'a, W: Write> {
    shared: &'a Shared<W>,
    gathered: MutexGuard<'a, Gathered<W>>,
    is_urgent: bool,
}

impl<W> Clone for Lines<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: Write + Send + 'static> Lines<W> {
    /// Lines that go to `out`, brought there by a thread of their own.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub(crate) fn to(out: W) -> io::Result<Self> {
        let gathered = Gathered { bytes: Vec::with_capacity(2 * FULL), out, is_ending: false };
        let lines = Self(Arc::new(Shared { gathered: Mutex::new(gathered), changed: Condvar::new() }));
        let shared = Arc::clone(&lines.0);
        thread::Builder::new().name("log lines".to_owned()).spawn(move || shared.bring_out())?;
        Ok(lines)
    }
}

impl<W: Write> Lines<W> {
    /// Brings out what has gathered; from now on every line goes out at once.
    pub(crate) fn end(&self) {
        let mut gathered = self.0.gathered();
        gathered.is_ending = true;
        gathered.go_out();
        self.0.changed.notify_one();
    }
}

impl<W: Write> Shared<W> {
    fn gathered(&self) -> MutexGuard<'_, Gathered<W>> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, is_urgent: bool) -> Line<'_, W> {
        Line { shared: self, gathered: self.gathered(), is_urgent }
    }

    /// Until the end: waits for a first line, lets others join it, and brings them out.
    fn bring_out(&self) {
        let nothing_to_do = |gathered: &mut Gathered<W>| gathered.bytes.is_empty() && !gathered.is_ending;
        loop {
            let waited = self.changed.wait_while(self.gathered(), nothing_to_do);
            if waited.unwrap_or_else(PoisonError::into_inner).is_ending {
                return;
            }
            thread::sleep(LONGEST_WAIT);
            self.gathered().go_out();
        }
    }
}

impl<W: Write> Gathered<W> {
    fn go_out(&mut self) {
        // There is nowhere to tell that nobody reads the log.
        let _ = self.out.write_all(&self.bytes).and_then(|()| self.out.flush());
        self.bytes.clear();
    }
}

impl<'a, W: Write + 'static> MakeWriter<'a> for Lines<W> {
    type Writer = Line<'a, W>;

    fn make_writer(&'a self) -> Self::Writer {
        self.0.line(true)
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        self.0.line(*metadata.level() <= Level::WARN)
    }
}

impl<W: Write> Write for Line<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.gathered.bytes.is_empty() {
            self.shared.changed.notify_one();
        }
        self.gathered.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> Drop for Line<'_, W> {
    fn drop(&mut self) {
        if self.is_urgent || self.gathered.is_ending || self.gathered.bytes.len() >= FULL {
            self.gathered.go_out();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Tells of every piece that goes out.
    struct Pieces(Sender<String>);

    impl Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(String::from_utf8(bytes.to_vec()).unwrap()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What goes out while and after `work` runs.
    fn pieces(work: impl FnOnce(&Lines<Pieces>)) -> Receiver<String> {
        let (sender, receiver) = channel();
        let lines = Lines::to(Pieces(sender)).unwrap();
        let layer = tracing_subscriber::fmt::layer().without_time().with_target(false).with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(layer.with_writer(lines.clone()));
        tracing::subscriber::with_default(subscriber, || work(&lines));
        receiver
    }

    fn next(pieces: &Receiver<String>) -> String {
        pieces.recv_timeout(Duration::from_secs(20)).expect("lines go out by themselves")
    }

    #[test]
    fn lines_gather_and_go_out_by_themselves() {
        let pieces = pieces(|_| {
            tracing::info!("one");
            tracing::info!("two");
        });
        let mut written = next(&pieces);
        // On a busy machine the first may be out before the second comes.
        if !written.ends_with("two\n") {
            written += &next(&pieces);
        }
        assert_eq!(written, " INFO one\n INFO two\n");
    }

    #[test]
    fn a_warning_takes_along_what_came_before_it() {
        let pieces = pieces(|_| {
            tracing::info!("one");
            tracing::warn!("two");
        });
        assert_eq!(pieces.try_recv().unwrap(), " INFO one\n WARN two\n");
    }

    #[test]
    fn many_do_not_wait() {
        let long = "x".repeat(FULL);
        let pieces = pieces(|_| tracing::info!(long));
        assert!(pieces.try_recv().unwrap().len() > FULL);
    }

    #[test]
    fn the_end_brings_all_out_and_nothing_gathers_after_it() {
        let pieces = pieces(|lines| {
            tracing::info!("one");
            lines.end();
            tracing::info!("two");
        });
        assert_eq!([pieces.try_recv().unwrap(), pieces.try_recv().unwrap()], [" INFO one\n", " INFO two\n"]);
    }
}
