//! [`Pacer`]: the thread that sends requests when they are due.
//!
//! One thread for all connections, as a publisher would have it, and not one for each: dozens of threads that sleep until it is their
//! turn are slow to wake, which would be counted as the platform's. A runtime keeps time to a millisecond, which is as long
//! as what is measured here; `poll` keeps it to microseconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use onering_clock::Clock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::http_load::{WaitingConnection, WireRequest};
use super::paced::{Pace, Sent};

/// The most requests under way: one that is due beyond them waits, which its time since it was due shows.
const CONNECTIONS: u64 = 64;
/// From opening the connections to the first request.
const RUN_UP: Duration = Duration::from_millis(50);
/// Who does not answer for so long never will.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it looks whether anybody still waits for it.
const LOOK: Duration = Duration::from_millis(100);

/// Sends requests over kept connections, of those that are free the one last used first, as HTTP clients do.
pub(super) struct Pacer {
    requests: Vec<WireRequest>,
    started: Instant,
    interval: Duration,
    expected: u16,
    free: Vec<WaitingConnection>,
    asked: Vec<Asked>,
    stop: Arc<AtomicBool>,
}

/// A request that is under way.
struct Asked {
    connection: WaitingConnection,
    number: u64,
    due: Instant,
    sent: Instant,
}

impl Pacer {
    /// A pacer for these requests, the first of which is soon due. It ends when `stop` is set.
    ///
    /// # Errors
    /// When a connection cannot be opened.
    pub(super) fn open(pace: Pace, requests: Vec<WireRequest>, stop: Arc<AtomicBool>) -> anyhow::Result<Self> {
        let Pace { address, rate, expected, .. } = pace;
        let connections = CONNECTIONS.min(requests.len() as u64);
        let free = (0..connections).map(|_| WaitingConnection::open(address)).collect::<Result<_, _>>()?;
        let (started, interval) = (Clock::system().monotonic() + RUN_UP, Duration::from_secs(1) / rate);
        Ok(Self { requests, started, interval, expected, free, asked: Vec::new(), stop })
    }

    /// Sends all requests and answers when each was due, sent and answered, in the order of the answers.
    ///
    /// # Errors
    /// When a connection fails, an answer is not the expected one or does not come, or it was told to stop.
    pub(super) fn run(mut self) -> anyhow::Result<Vec<Sent>> {
        let clock = Clock::system();
        let mut all = Vec::with_capacity(self.requests.len());
        let mut next = 0;
        while all.len() < self.requests.len() {
            ensure!(!self.stop.load(Ordering::Relaxed), "interrupted");
            let mut now = clock.monotonic();
            while let Some(due) = self.due(next).filter(|due| *due <= now) {
                self.ask(next, due, now)?;
                (next, now) = (next + 1, clock.monotonic());
            }
            let readable =
                self.wait(self.due(next).map_or(LOOK, |due| due.saturating_duration_since(now).min(LOOK)))?;
            self.hear(&readable, &clock, &mut all)?;
            let oldest = self.asked.iter().map(|asked| asked.sent).min();
            ensure!(
                oldest.is_none_or(|sent| now.saturating_duration_since(sent) < PATIENCE),
                "a request was not answered"
            );
        }
        Ok(all)
    }

    /// When the request of this number is due, as long as there is one, and a connection for it.
    fn due(&self, number: usize) -> Option<Instant> {
        let is_next = number < self.requests.len() && !self.free.is_empty();
        is_next.then(|| self.started + self.interval.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX)))
    }

    fn ask(&mut self, number: usize, due: Instant, sent: Instant) -> anyhow::Result<()> {
        let mut connection = self.free.pop().context("no connection is free")?;
        connection.ask(&self.requests[number])?;
        self.asked.push(Asked { connection, number: number as u64, due, sent });
        Ok(())
    }

    /// Waits until something can be read or the time is over; answers which of those asked can be read.
    fn wait(&self, time: Duration) -> anyhow::Result<Vec<bool>> {
        let mut asked: Vec<PollFd<'_>> =
            self.asked.iter().map(|asked| PollFd::new(&asked.connection, PollFlags::IN)).collect();
        let time = Timespec::try_from(time).context("too long a time")?;
        match poll(&mut asked, Some(&time)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(asked.iter().map(|fd| !fd.revents().is_empty()).collect())
    }

    fn hear(&mut self, readable: &[bool], clock: &Clock, all: &mut Vec<Sent>) -> anyhow::Result<()> {
        // From the last: what is taken out is replaced by one that was looked at.
        for place in (0..readable.len()).rev().filter(|place| readable[*place]) {
            let Some(status) = self.asked[place].connection.hear()? else { continue };
            let answered = clock.monotonic();
            ensure!(status == self.expected, "answered {status}, not {}", self.expected);
            let Asked { connection, number, due, sent } = self.asked.swap_remove(place);
            self.free.push(connection);
            all.push(Sent { number, due, sent, answered });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::sync::mpsc;

    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

    /// Tells of each request with the connection it came over, and answers when it is told to.
    fn server() -> (SocketAddr, mpsc::Receiver<(usize, TcpStream)>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, asked) = mpsc::channel();
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let (mut stream, tell) = (stream.unwrap(), tell.clone());
                std::thread::spawn(move || {
                    while stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {
                        tell.send((number, stream.try_clone().unwrap())).unwrap();
                    }
                });
            }
        });
        (address, asked)
    }

    fn pacer(address: SocketAddr, requests: usize, stop: &Arc<AtomicBool>) -> Pacer {
        let pace = Pace { address, rate: 1_000, duration: Duration::ZERO, expected: 204 };
        let request = WireRequest::new("GET", "/", address, &[], b"");
        Pacer::open(pace, vec![request; requests], Arc::clone(stop)).unwrap()
    }

    #[test]
    fn a_request_does_not_wait_for_the_answer_before() {
        let (address, asked) = server();
        let pacer = pacer(address, 3, &Arc::default());
        let sending = std::thread::spawn(|| pacer.run());
        let requests: Vec<_> = (0..3).map(|_| asked.recv().unwrap()).collect();
        requests.into_iter().for_each(|(_, mut stream)| stream.write_all(ANSWER).unwrap());
        let mut numbers: Vec<u64> = sending.join().unwrap().unwrap().iter().map(|sent| sent.number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 2]);
    }

    #[test]
    fn the_connection_last_used_goes_first() {
        let (address, asked) = server();
        let mut pacer = pacer(address, 3, &Arc::default());
        let (clock, mut all) = (Clock::system(), Vec::new());
        let mut used = Vec::new();
        for number in 0..3 {
            pacer.ask(number, clock.monotonic(), clock.monotonic()).unwrap();
            let (connection, mut stream) = asked.recv().unwrap();
            stream.write_all(ANSWER).unwrap();
            used.push(connection);
            while all.len() == number {
                let readable = pacer.wait(LOOK).unwrap();
                pacer.hear(&readable, &clock, &mut all).unwrap();
            }
        }
        assert!(used.iter().all(|connection| *connection == used[0]), "{used:?}");
    }

    #[test]
    fn it_ends_when_nobody_waits_and_when_it_is_refused() {
        let (address, asked) = server();
        let stop = Arc::<AtomicBool>::default();
        let waiting = pacer(address, 1, &stop);
        let sending = std::thread::spawn(|| waiting.run());
        asked.recv().unwrap();
        stop.store(true, Ordering::Relaxed);
        assert_eq!(sending.join().unwrap().unwrap_err().to_string(), "interrupted");

        let refused = pacer(address, 1, &Arc::default());
        let sending = std::thread::spawn(|| refused.run());
        asked.recv().unwrap().1.write_all(b"HTTP/1.1 500 Broken\r\n\r\n").unwrap();
        assert_eq!(sending.join().unwrap().unwrap_err().to_string(), "answered 500, not 204");
    }
}
