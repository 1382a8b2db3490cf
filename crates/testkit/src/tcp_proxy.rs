//! A network between two processes that can be made bad.

use std::io::Result;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    Fair,
    /// Bytes wait; connections stay open, and new ones are accepted.
    Paused,
    /// Every piece of data waits this long, in each direction.
    Slow(Duration),
    /// Connections are closed, new ones at once.
    Cut,
}

/// Forwards TCP connections from a port on 127.0.0.1 to a server, and can cut, pause or slow them.
#[derive(Debug)]
pub struct TcpProxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    open: Arc<AtomicUsize>,
    acceptor: JoinHandle<()>,
}

impl TcpProxy {
    /// Starts in front of a server on 127.0.0.1.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn start(target_port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port can be had");
        let address = listener.local_addr().expect("a listening socket has an address");
        let (weather, _) = watch::channel(Weather::Fair);
        let open = Arc::new(AtomicUsize::new(0));
        let acceptor = tokio::spawn(accept(listener, target_port, weather.clone(), Arc::clone(&open)));
        Self { address, weather, open, acceptor }
    }

    /// The port to connect to instead of the server's.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `url` with host and port replaced by the proxy's.
    ///
    /// # Panics
    /// When `url` is no URL with a host.
    #[must_use]
    pub fn url(&self, url: &str) -> String {
        let mut url = Url::parse(url).unwrap_or_else(|error| panic!("the server's URL is no URL: {error}"));
        url.set_host(Some("127.0.0.1")).expect("the URL has a host");
        url.set_port(Some(self.port())).expect("the URL takes a port");
        url.into()
    }

    /// How many connections are open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Closes all connections, and new ones at once, until [`Self::restore`].
    pub fn cut(&self) {
        self.weather.send_replace(Weather::Cut);
    }

    /// Closes the connections that are open; new ones work.
    pub async fn reset_connections(&self) {
        self.cut();
        while self.open_connections() > 0 {
            tokio::task::yield_now().await;
        }
        self.restore();
    }

    /// Holds all data back until [`Self::restore`].
    pub fn pause(&self) {
        self.weather.send_replace(Weather::Paused);
    }

    /// Makes every piece of data wait this long, in each direction, until [`Self::restore`].
    pub fn slow(&self, delay: Duration) {
        self.weather.send_replace(Weather::Slow(delay));
    }

    /// Makes the network good again; what was held back is sent.
    pub fn restore(&self) {
        self.weather.send_replace(Weather::Fair);
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        // Its connections are in a set it owns, and end with it.
        self.acceptor.abort();
    }
}

async fn accept(listener: TcpListener, target_port: u16, weather: watch::Sender<Weather>, open: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let mut weather = weather.subscribe();
        if *weather.borrow_and_update() == Weather::Cut {
            continue;
        }
        let counted = Counted::new(&open);
        connections.spawn(async move {
            // An error means that one side has gone away, which closes the other.
            let _ = relay(client, target_port, weather).await;
            drop(counted);
        });
    }
}

/// A connection in the count of open ones.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(open))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn relay(client: TcpStream, target_port: u16, mut weather: watch::Receiver<Weather>) -> Result<()> {
    let server = TcpStream::connect(("127.0.0.1", target_port)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (up, down) = (pump(from_client, to_server, weather.clone()), pump(from_server, to_client, weather.clone()));
    tokio::select! {
        ends = async { tokio::try_join!(up, down) } => ends.map(|_| ()),
        // Dropping both halves closes both connections.
        _ = weather.wait_for(|weather| *weather == Weather::Cut) => Ok(()),
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut weather: watch::Receiver<Weather>,
) -> Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = from.read(&mut buffer).await?;
        let delay = match *weather.borrow_and_update() {
            Weather::Slow(delay) => delay,
            _ => Duration::ZERO,
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if weather.wait_for(|weather| *weather != Weather::Paused).await.is_err() {
            return Ok(());
        }
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..length]).await?;
    }
}
