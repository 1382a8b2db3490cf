//! What all scenarios measure on: a stack, receivers and references beside it, and partners with keys and subscriptions.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use onering_clock::Clock;
use serde_json::json;

use super::bare_server::{self, BareServer};
use super::closed_loop::{self, Load, Loaded};
use super::http_load::{Connection, WireRequest};
use super::meter::Meter;
use super::nginx::Nginx;
use super::partners::Partner;
use super::private_stack::{Addresses, PrivateStack};
use super::target_sink::TargetSink;
use crate::api::Api;
use crate::args::TableBench;
use crate::stack::delivered_in;

/// Attempts that a subscription under full load may have under way.
const IN_FLIGHT: u16 = 256;
/// After a load, what was accepted may take so long to arrive and to be written down.
pub(super) const DRAIN_PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(10);
/// Bytes of a posted reference: those of a delivered event.
const POST_BYTES: usize = 600;
/// What the name of the header without a meaning costs.
const HEADER_FRAME: usize = "x-filling: \r\n".len();

/// Everything a scenario may use.
pub(super) struct Bed<'a> {
    pub(super) stack: &'a PrivateStack,
    pub(super) addresses: Addresses,
    /// Receives webhooks, answers, and forwards to `upstream`.
    pub(super) nginx: Nginx,
    /// Stands behind both, the gateway and that nginx.
    pub(super) upstream: Nginx,
    pub(super) bare: BareServer,
    /// Notes when numbered events arrive.
    pub(super) sink: TargetSink,
    pub(super) to_nginx: Partner,
    pub(super) to_bare: Partner,
    /// Has ten subscriptions.
    pub(super) fanned_out: Partner,
    /// Its events go to the sink.
    pub(super) timed: Partner,
    pub(super) meter: Meter,
    pub(super) duration: Duration,
    pub(super) connections: u16,
    next_number: u64,
}

/// Which receiver webhooks go to under full load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receiver {
    Nginx,
    Bare,
}

impl<'a> Bed<'a> {
    /// Makes everything beside a started stack.
    pub(super) async fn make(
        stack: &'a PrivateStack,
        addresses: Addresses,
        options: &TableBench,
    ) -> anyhow::Result<Self> {
        let folder = stack.folder().path();
        let upstream = Nginx::start(folder.join("upstream"), None).await?;
        let nginx = Nginx::start(folder.join("nginx"), Some(upstream.address())).await?;
        let to_nginx = Partner::make(&addresses, "into-nginx").await?;
        let bare = bare_like_me(folder, &addresses, &to_nginx).await?;
        let sink = TargetSink::start()?;
        let full = json!({ "max_in_flight": IN_FLIGHT });
        to_nginx.subscribe(nginx.address(), "/webhook", full.clone()).await?;
        let to_bare = Partner::make(&addresses, "into-bare").await?;
        to_bare.subscribe(bare.address(), "/webhook", full.clone()).await?;
        let fanned_out = Partner::make(&addresses, "fanned-out").await?;
        for number in 1..=super::scenarios::FAN_OUT {
            fanned_out.subscribe(nginx.address(), &format!("/webhook/{number}"), full.clone()).await?;
        }
        let timed = Partner::make(&addresses, "timed").await?;
        timed.subscribe(sink.address(), "/webhook", full).await?;
        let meter = Meter::new(stack, &addresses).await?;
        let (duration, connections) = (Duration::from_secs(options.seconds.into()), options.connections);
        let next_number = 1;
        Ok(Self {
            stack,
            addresses,
            nginx,
            upstream,
            bare,
            sink,
            to_nginx,
            to_bare,
            fanned_out,
            timed,
            meter,
            duration,
            connections,
            next_number,
        })
    }

    /// The first of so many numbers that no event has had.
    pub(super) fn numbers(&mut self, count: u64) -> u64 {
        let first = self.next_number;
        self.next_number += count;
        first
    }

    /// Full load of one request, over all connections.
    pub(super) async fn load(
        &self,
        request: &WireRequest,
        address: std::net::SocketAddr,
        expected: u16,
    ) -> anyhow::Result<Loaded> {
        closed_loop::send(Load::same(address, request, self.connections, self.duration, expected)).await
    }

    /// POSTs of the size of an event to a receiver, a second: what one HTTP hop could do.
    pub(super) async fn posts(&self, receiver: Receiver) -> anyhow::Result<f64> {
        let address = self.address(receiver);
        let request = WireRequest::new("POST", "/raw", address, &[], &[b'x'; POST_BYTES]);
        Ok(self.load(&request, address, 200).await?.rate())
    }

    fn address(&self, receiver: Receiver) -> std::net::SocketAddr {
        match receiver {
            Receiver::Nginx => self.nginx.address(),
            Receiver::Bare => self.bare.address(),
        }
    }

    /// The receiver's process.
    pub(super) fn pid(&self, receiver: Receiver) -> i32 {
        match receiver {
            Receiver::Nginx => self.nginx.pid(),
            Receiver::Bare => self.bare.pid(),
        }
    }

    /// Requests the receiver has taken, by its own count.
    pub(super) async fn received(&self, receiver: Receiver) -> anyhow::Result<u64> {
        match receiver {
            Receiver::Nginx => self.nginx.count().await,
            Receiver::Bare => self.bare.count().await,
        }
    }

    /// Waits until the receiver has taken so many in all.
    pub(super) async fn wait_until_received(&self, receiver: Receiver, count: u64) -> anyhow::Result<()> {
        let deadline = Clock::system().monotonic() + DRAIN_PATIENCE;
        loop {
            let received = self.received(receiver).await?;
            if received >= count {
                return Ok(());
            }
            if Clock::system().monotonic() > deadline {
                bail!("{} webhooks did not arrive within {} s", count - received, DRAIN_PATIENCE.as_secs());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Deliveries that the worker has written down, by its own count.
    pub(super) async fn delivered(&self) -> anyhow::Result<u64> {
        let worker = self.addresses.worker;
        let request = WireRequest::new("GET", "/metrics", worker, &["Connection: close".to_owned()], b"");
        let mut connection = Connection::open(worker).await?;
        let text = connection.body(&request).await.context("the worker's metrics")?;
        Ok(delivered_in(std::str::from_utf8(text)?))
    }

    /// Waits until the worker has written down so many in all.
    pub(super) async fn wait_until_delivered(&self, count: u64) -> anyhow::Result<()> {
        let deadline = Clock::system().monotonic() + DRAIN_PATIENCE;
        loop {
            let delivered = self.delivered().await?;
            if delivered >= count {
                return Ok(());
            }
            if Clock::system().monotonic() > deadline {
                bail!("{} deliveries were not written down within {} s", count - delivered, DRAIN_PATIENCE.as_secs());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The operators' API.
    pub(super) fn operator(&self) -> anyhow::Result<Api> {
        Api::new(&self.addresses.admin, &self.addresses.admin_key)
    }
}

/// A server whose answer is as long as that of `/me`, head and body.
async fn bare_like_me(folder: &Path, addresses: &Addresses, partner: &Partner) -> anyhow::Result<BareServer> {
    let (head, body) = Connection::open(addresses.gateway).await?.sizes(&partner.me()).await?;
    let probe = BareServer::start(folder, body, 0).await?;
    let request = WireRequest::new("GET", bare_server::ANSWER, probe.address(), &[], b"");
    let (own_head, _) = Connection::open(probe.address()).await?.sizes(&request).await?;
    BareServer::start(folder, body, head.saturating_sub(own_head + HEADER_FRAME)).await
}
