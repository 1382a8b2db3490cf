//! A webhook receiver that records what arrives and answers as told.

mod reply;
mod wire;

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::reply::Manner;
pub use self::reply::Reply;
pub use self::wire::Received;
use self::wire::read_request;

/// How long the `wait_…` functions wait.
const PATIENCE: Duration = Duration::from_secs(15);

type Answerer = Box<dyn FnMut(&Received) -> Reply + Send>;

/// An HTTP/1.1 server on 127.0.0.1 that records every request. It answers 200 until it is told otherwise.
///
/// Dropping it closes the port and every connection.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: tokio::task::JoinHandle<()>,
}

struct Shared {
    state: Mutex<State>,
    /// Counts changes, so that waiting is not polling.
    changed: watch::Sender<u64>,
}

struct State {
    requests: Vec<Received>,
    script: VecDeque<Reply>,
    otherwise: Answerer,
    in_flight: usize,
    most_in_flight: usize,
    connections: u64,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("address", &self.address).field("requests", &self.count()).finish()
    }
}

impl Receiver {
    /// Starts on a free port.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn start() -> Self {
        Self::start_on(0).await
    }

    /// Starts on this port, as to bring one back that was dropped.
    ///
    /// # Panics
    /// When the port is taken.
    pub async fn start_on(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await;
        let listener = listener.unwrap_or_else(|error| panic!("the receiver cannot listen on port {port}: {error}"));
        let state = State {
            requests: Vec::new(),
            script: VecDeque::new(),
            otherwise: Box::new(|_| Reply::status(200)),
            in_flight: 0,
            most_in_flight: 0,
            connections: 0,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: watch::channel(0).0 });
        let address = listener.local_addr().expect("a listening socket has an address");
        let acceptor = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, acceptor }
    }

    /// `http://127.0.0.1:<port><path>`; the path begins with a slash.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next requests are answered with these, in order; after them as [`Self::otherwise`] says.
    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.lock().script.extend(replies);
    }

    /// What is answered when the script is at its end.
    pub fn otherwise(&self, reply: Reply) {
        self.otherwise_by(move |_| reply.clone());
    }

    /// As [`Self::otherwise`], by looking at the request (one at a time).
    pub fn otherwise_by(&self, answer: impl FnMut(&Received) -> Reply + Send + 'static) {
        self.shared.lock().otherwise = Box::new(answer);
    }

    /// Everything that has arrived, in order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.shared.lock().requests.clone()
    }

    /// How many requests have arrived.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.lock().requests.len()
    }

    /// Forgets what has arrived.
    pub fn clear(&self) {
        self.shared.lock().requests.clear();
    }

    /// How many requests are being answered now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.lock().in_flight
    }

    /// How many requests were being answered at once, at most.
    #[must_use]
    pub fn most_in_flight(&self) -> usize {
        self.shared.lock().most_in_flight
    }

    /// How many connections were made.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.lock().connections
    }

    /// Waits until at least `n` requests have arrived and yields them all.
    ///
    /// # Panics
    /// When they do not arrive in 15 s; the message lists what did.
    pub async fn wait_for(&self, n: usize) -> Vec<Received> {
        self.wait_until(&format!("{n} requests"), |requests| requests.len() >= n).await
    }

    /// Waits until what has arrived satisfies `enough`, and yields it all.
    ///
    /// # Panics
    /// When it does not in 15 s; the message lists what arrived.
    pub async fn wait_until(&self, what: &str, mut enough: impl FnMut(&[Received]) -> bool) -> Vec<Received> {
        let mut changes = self.shared.changed.subscribe();
        let wait = async {
            loop {
                changes.borrow_and_update();
                let requests = self.requests();
                if enough(&requests) {
                    return requests;
                }
                changes.changed().await.expect("the receiver keeps the sender");
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| {
            let seen: Vec<String> = self.requests().iter().map(Received::summary).collect();
            panic!("{what} did not arrive within {PATIENCE:?}; arrived: {seen:#?}")
        })
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Its connections are in a set it owns, and end with it.
        self.acceptor.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, request: Received) -> Reply {
        let mut state = self.lock();
        let reply = match state.script.pop_front() {
            Some(reply) => reply,
            None => (state.otherwise)(&request),
        };
        state.requests.push(request);
        state.in_flight += 1;
        state.most_in_flight = state.most_in_flight.max(state.in_flight);
        drop(state);
        self.changed.send_modify(|count| *count += 1);
        reply
    }
}

/// Counts a request as in flight until it is dropped, also when its connection is cut.
struct InFlight<'a>(&'a Shared);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        shared.lock().connections += 1;
        let shared = Arc::clone(&shared);
        // An error means that the client has gone away.
        connections.spawn(async move { serve(stream, &shared).await.ok() });
    }
}

async fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(parts) = read_request(&mut stream).await? {
        let close = parts.asks_to_close();
        let request = parts.into_received(SystemTime::now(), Instant::now());
        let reply = shared.record(request);
        let _in_flight = InFlight(shared);
        if !reply.delay.is_zero() {
            tokio::select! {
                () = tokio::time::sleep(reply.delay) => {}
                () = client_leaves(&mut stream) => return Ok(()),
            }
        }
        match &reply.manner {
            Manner::Hang => {
                client_leaves(&mut stream).await;
                return Ok(());
            }
            Manner::Hostile(answer) => return answer.give(&mut stream).await,
            Manner::Proper => stream.write_all(&reply.bytes(close)).await?,
        }
        if close {
            return stream.shutdown().await;
        }
    }
    Ok(())
}

/// Waits until the client closes the connection; what it sends meanwhile stays unread.
async fn client_leaves(stream: &mut BufReader<TcpStream>) {
    if stream.fill_buf().await.is_ok_and(|bytes| !bytes.is_empty()) {
        std::future::pending::<()>().await;
    }
}
