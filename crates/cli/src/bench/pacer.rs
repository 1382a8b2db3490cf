//! [`Pacer`]: the thread that sends requests when they are due.
//!
//! A runtime keeps time to a millisecond, which is as long as what is measured here; `poll` keeps it to some fifty microseconds.
//! One thread for all connections, as a client would have it, is at hand more often than one for each would be.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use onering_clock::Clock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::http_load::{PATIENCE, WaitingConnection, WireRequest};
use super::paced::{Clients, Pace, Sent};

/// The most requests under way: one that is due beyond them waits, which its time since it was due shows.
const CONNECTIONS: usize = 64;
/// From opening the connections to the first request.
const RUN_UP: Duration = Duration::from_millis(50);
/// Servers close a connection that was not used for some time, of those measured here the soonest after five seconds.
const FRESH: Duration = Duration::from_secs(3);
/// How often it looks whether anybody still waits for it.
const LOOK: Duration = Duration::from_millis(100);

/// Sends requests over kept connections.
pub(super) struct Pacer {
    pace: Pace,
    requests: Vec<WireRequest>,
    started: Instant,
    /// In the order in which they became free.
    free: VecDeque<Free>,
    asked: Vec<Asked>,
    stop: Arc<AtomicBool>,
}

/// A connection that waits for its next request.
struct Free {
    connection: WaitingConnection,
    since: Instant,
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
    pub(super) fn new(pace: Pace, requests: Vec<WireRequest>, stop: Arc<AtomicBool>) -> Self {
        let started = Clock::system().monotonic() + RUN_UP;
        Self { pace, requests, started, free: VecDeque::new(), asked: Vec::new(), stop }
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
            while let Some(due) = self.due(next).filter(|due| *due <= clock.monotonic()) {
                self.ask(next, due, &clock)?;
                next += 1;
            }
            let now = clock.monotonic();
            let readable =
                self.wait(self.due(next).map_or(LOOK, |due| due.saturating_duration_since(now).min(LOOK)))?;
            self.hear(&readable, &clock, &mut all)?;
            let is_late = |asked: &Asked| now.saturating_duration_since(asked.sent) > PATIENCE;
            ensure!(!self.asked.iter().any(is_late), "a request was not answered");
        }
        Ok(all)
    }

    /// When the request of this number is due, as long as there is one, and not too many are under way.
    fn due(&self, number: usize) -> Option<Instant> {
        let is_next = number < self.requests.len() && self.asked.len() < CONNECTIONS;
        let interval = Duration::from_secs(1) / self.pace.rate;
        is_next.then(|| self.started + interval.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX)))
    }

    fn ask(&mut self, number: usize, due: Instant, clock: &Clock) -> anyhow::Result<()> {
        let mut connection = self.connection(clock.monotonic())?;
        let sent = clock.monotonic();
        connection.ask(&self.requests[number])?;
        self.asked.push(Asked { connection, number: number as u64, due, sent });
        Ok(())
    }

    /// A connection that is free and fresh, or a new one.
    fn connection(&mut self, now: Instant) -> anyhow::Result<WaitingConnection> {
        let all_are_open = self.free.len() + self.asked.len() >= CONNECTIONS;
        let free = match self.pace.clients {
            Clients::One => self.free.pop_back(),
            Clients::Many if all_are_open => self.free.pop_front(),
            Clients::Many => None,
        };
        match free {
            Some(Free { connection, since }) if now.saturating_duration_since(since) < FRESH => Ok(connection),
            _ => WaitingConnection::open(self.pace.address),
        }
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
            ensure!(status == self.pace.expected, "answered {status}, not {}", self.pace.expected);
            let Asked { connection, number, due, sent } = self.asked.swap_remove(place);
            self.free.push_back(Free { connection, since: answered });
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

    fn pacer(address: SocketAddr, clients: Clients, requests: usize, stop: &Arc<AtomicBool>) -> Pacer {
        let pace = Pace { address, rate: 1_000, duration: Duration::ZERO, expected: 204, clients };
        let request = WireRequest::new("GET", "/", address, &[], b"");
        Pacer::new(pace, vec![request; requests], Arc::clone(stop))
    }

    fn next(asked: &mpsc::Receiver<(usize, TcpStream)>) -> (usize, TcpStream) {
        asked.recv_timeout(PATIENCE).expect("a request comes")
    }

    #[test]
    fn a_request_does_not_wait_for_the_answer_before() {
        let (address, asked) = server();
        let pacer = pacer(address, Clients::One, 3, &Arc::default());
        let sending = std::thread::spawn(|| pacer.run());
        let requests: Vec<_> = (0..3).map(|_| next(&asked)).collect();
        requests.into_iter().for_each(|(_, mut stream)| stream.write_all(ANSWER).unwrap());
        let mut numbers: Vec<u64> = sending.join().unwrap().unwrap().iter().map(|sent| sent.number).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 2]);
    }

    /// Sends one request after the other and answers over which connections they came.
    fn connections_of(clients: Clients, requests: usize, free_since: impl Fn(Instant) -> Instant) -> Vec<usize> {
        let (address, asked) = server();
        let mut pacer = pacer(address, clients, requests, &Arc::default());
        let (clock, mut all) = (Clock::system(), Vec::new());
        let one_by_one = (0..requests).map(|number| {
            pacer.ask(number, clock.monotonic(), &clock).unwrap();
            let (connection, mut stream) = next(&asked);
            stream.write_all(ANSWER).unwrap();
            while all.len() == number {
                let readable = pacer.wait(PATIENCE).unwrap();
                assert_eq!(readable, [true], "the answer comes");
                pacer.hear(&readable, &clock, &mut all).unwrap();
            }
            pacer.free.iter_mut().for_each(|free| free.since = free_since(free.since));
            connection
        });
        one_by_one.collect()
    }

    #[test]
    fn one_client_takes_the_connection_last_used_and_many_take_all_in_turn() {
        assert_eq!(connections_of(Clients::One, 3, |since| since), [0, 0, 0]);
        let in_turn: Vec<usize> = (0..CONNECTIONS).chain(0..2).collect();
        assert_eq!(connections_of(Clients::Many, CONNECTIONS + 2, |since| since), in_turn);
    }

    #[test]
    fn a_connection_that_rested_long_may_be_closed_and_is_not_used() {
        assert_eq!(connections_of(Clients::One, 3, |since| since - FRESH), [0, 1, 2]);
    }

    #[test]
    fn it_ends_when_nobody_waits_and_when_it_is_refused() {
        let (address, asked) = server();
        let stop = Arc::<AtomicBool>::default();
        let waiting = pacer(address, Clients::One, 1, &stop);
        let sending = std::thread::spawn(|| waiting.run());
        next(&asked);
        stop.store(true, Ordering::Relaxed);
        assert_eq!(sending.join().unwrap().unwrap_err().to_string(), "interrupted");

        let refused = pacer(address, Clients::One, 1, &Arc::default());
        let sending = std::thread::spawn(|| refused.run());
        next(&asked).1.write_all(b"HTTP/1.1 500 Broken\r\n\r\n").unwrap();
        assert_eq!(sending.join().unwrap().unwrap_err().to_string(), "answered 500, not 204");
    }
}
