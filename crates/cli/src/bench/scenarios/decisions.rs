//! What a decision costs: how many a second beside bare answers of the same size, and what one adds to an answer's time.

use anyhow::ensure;
use futures_util::future::try_join_all;

use super::super::bare_server;
use super::super::bed::Bed;
use super::super::closed_loop::{self, Load};
use super::super::goals::rows;
use super::super::http_load::WireRequest;
use super::super::paced::{self, Clients, Latency, Pace};
use super::super::partners::{make_key, me};
use super::super::report::Report;

/// Keys of "many keys".
const KEYS: usize = 1_000;
/// Keys that are made at once.
const AT_ONCE: usize = 16;
/// Decisions a second in what is timed.
const RATE: u32 = 1_000;

/// A request of each of many keys.
pub(super) struct ManyKeys(Vec<WireRequest>);

impl ManyKeys {
    /// Makes the keys, each of a partner of its own.
    pub(super) async fn make(bed: &Bed<'_>) -> anyhow::Result<Self> {
        let operator = bed.operator()?;
        let owners: Vec<String> = (0..KEYS).map(|number| format!("many-{number}")).collect();
        let mut requests = Vec::with_capacity(KEYS);
        for some in owners.chunks(AT_ONCE) {
            let tokens = try_join_all(some.iter().map(|owner| make_key(&operator, owner))).await?;
            requests.extend(tokens.iter().map(|token| me(bed.addresses.gateway, token)));
        }
        Ok(Self(requests))
    }

    /// Dealt out to connections: no key is used by two.
    fn dealt(&self, connections: u16) -> Vec<Vec<WireRequest>> {
        let connections = usize::from(connections);
        (0..connections.min(self.0.len()))
            .map(|first| self.0.iter().skip(first).step_by(connections).cloned().collect())
            .collect()
    }
}

pub(super) async fn measure(bed: &mut Bed<'_>, keys: &ManyKeys, report: &mut Report) -> anyhow::Result<()> {
    let (gateway, bare) = (bed.addresses.gateway, bed.bare.address());
    let bare_request = WireRequest::new("GET", bare_server::ANSWER, bare, &[bed.to_nginx.authorization()], b"");
    report.add(rows::BARE_ANSWERS, "1/s", bed.load(&bare_request, bare, 200).await?.rate());
    let many = Load { address: gateway, requests: keys.dealt(bed.connections), duration: bed.duration, expected: 200 };
    report.add(rows::MANY_KEYS, "1/s", closed_loop::send(many).await?.rate());
    report.add(rows::ONE_KEY, "1/s", bed.load(&bed.to_nginx.me(), gateway, 200).await?.rate());

    let pace = |address| Pace { address, rate: RATE, duration: bed.duration, expected: 200, clients: Clients::Many };
    let bare_timed = paced::send(pace(bare), |_| bare_request.clone()).await?;
    let timed = paced::send(pace(gateway), |number| keys.0[number as usize % keys.0.len()].clone()).await?;
    ensure!(timed.len() == bare_timed.len(), "not every request was answered");
    bed.meter.worked();
    let (bare, decided) = (Latency::of_answers(&bare_timed)?, Latency::of_answers(&timed)?);
    for (percentile, bare, decided) in [("p50", bare.p50, decided.p50), ("p99", bare.p99, decided.p99)] {
        report.add(format!("reference: bare answer at 1000/s, {percentile}"), "ms", bare);
        report.add(format!("decision on /me at 1000/s, {percentile}"), "ms", decided);
        report.add(format!("added by a decision at 1000/s, {percentile}"), "ms", decided - bare);
    }
    Ok(())
}
