//! The HTTP listener.

use std::net::SocketAddr;

use ipnet::IpNet;

use crate::reader::Reader;
use crate::table::{BIND, BODY_CAP_BYTES, HTTP_WORKERS, TRUSTED_PROXIES};
use crate::variable::Service;

/// Where and how this process answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where to listen.
    pub bind: SocketAddr,
    /// Threads that answer.
    pub workers: usize,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The largest request body, bytes.
    pub body_cap: usize,
}

impl Http {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let bind = reader.socket_address(&BIND);
        let workers = if reader.given(&HTTP_WORKERS) {
            reader.whole(&HTTP_WORKERS)
        } else if reader.service() == Service::DeliveryWorker {
            Some(1)
        } else {
            Some(reader.machine().cores)
        };
        let trusted_proxies = reader.networks(&TRUSTED_PROXIES);
        let body_cap = reader.whole(&BODY_CAP_BYTES);
        Some(Self { bind: bind?, workers: workers?, trusted_proxies: trusted_proxies?, body_cap: body_cap? })
    }
}
