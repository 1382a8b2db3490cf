//! [`Pool`]: one thread's connections to upstreams.

use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use bytes::BytesMut;
use onering_clock::Clock;
use onering_http_exchange::{Connector, Idle, Origin, Unconnected};
use url::Host;

use super::exchange::{Broken, Connection, READ_BYTES};

/// Opens connections and keeps those that may be used again.
pub(super) struct Pool {
    connector: Connector,
    clock: Clock,
    idle: RefCell<Idle<Connection>>,
}

impl Pool {
    pub(super) fn new(connector: Connector, clock: Clock) -> Rc<Self> {
        Rc::new(Self { connector, clock, idle: RefCell::default() })
    }

    /// A kept connection that is still open, if there is one.
    pub(super) fn take(&self, origin: &Arc<Origin>) -> Option<Connection> {
        let now = self.clock.monotonic();
        loop {
            let mut connection = self.idle.borrow_mut().take(origin, now)?;
            if connection.stream.is_quiet() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection, if there is room for it.
    pub(super) fn put(self: &Rc<Self>, origin: &Arc<Origin>, mut connection: Connection) {
        // Room for the next head is kept, and what a long one needed is not.
        if connection.buffer.capacity() > 2 * READ_BYTES {
            connection.buffer = BytesMut::new();
        }
        let mut idle = self.idle.borrow_mut();
        let not_kept = idle.put(origin, connection, self.clock.monotonic());
        let wants_sweep = idle.wants_sweep();
        drop((idle, not_kept));
        if wants_sweep {
            actix_web::rt::spawn(sweep(Rc::downgrade(self)));
        }
    }

    /// Opens a connection, within the connector's patience.
    pub(super) async fn connect(&self, origin: &Origin) -> Result<Connection, Broken> {
        let connecting = async {
            let addresses = addresses_of(origin).await.map_err(Broken::Unresolved)?;
            Ok(Connection::new(self.connector.connect(origin, &addresses).await?))
        };
        let connected = tokio::time::timeout(self.connector.patience(), connecting).await;
        connected.unwrap_or(Err(Broken::Unconnected(Unconnected::Late)))
    }
}

/// Closes what is idle for too long, until nothing is idle or the pool is gone.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(Idle::<Connection>::SWEEP_EVERY).await;
        let Some(pool) = pool.upgrade() else { return };
        let (stale, again) = pool.idle.borrow_mut().sweep(pool.clock.monotonic());
        drop(stale);
        if !again {
            return;
        }
    }
}

/// Names are resolved for each new connection, so that an upstream that moves is followed.
async fn addresses_of(origin: &Origin) -> io::Result<Vec<IpAddr>> {
    match &origin.host {
        Host::Domain(name) => {
            let found = tokio::net::lookup_host((name.as_str(), origin.port)).await?;
            Ok(found.map(|address| address.ip()).collect())
        }
        Host::Ipv4(address) => Ok(vec![IpAddr::from(*address)]),
        Host::Ipv6(address) => Ok(vec![IpAddr::from(*address)]),
    }
}
