//! A product route through the gateway, beside nginx before the same upstream.

use std::time::Duration;

use anyhow::Context as _;

use super::super::bed::Bed;
use super::super::goals::rows;
use super::super::http_load::{Connection, WireRequest};
use super::super::nginx;
use super::super::report::Report;
use crate::stack::route_table;

/// One of the product's collections, as partners name it.
const COLLECTION: &str = "rings";
/// The route table is read again when it changes, and every second.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// Puts the upstream behind the gateway and waits until it answers from there.
pub(super) async fn prepare(bed: &Bed<'_>) -> anyhow::Result<()> {
    let path = bed.stack.folder().routes();
    let new = path.with_extension("new");
    std::fs::write(&new, route_table(bed.upstream.address().port()))
        .and_then(|()| std::fs::rename(&new, &path))
        .with_context(|| format!("{} cannot be written", path.display()))?;
    let request = through_gateway(bed);
    let mut connection = Connection::open(bed.addresses.gateway).await?;
    let answered = async {
        loop {
            let answer = connection.body(&request).await?;
            if answer.windows(nginx::ANSWER.len()).any(|window| window == nginx::ANSWER.as_bytes()) {
                return anyhow::Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(PATIENCE, answered).await.context("the gateway does not follow its route table")?
}

pub(super) async fn measure(bed: &mut Bed<'_>, report: &mut Report) -> anyhow::Result<()> {
    let proxy = bed.nginx.address();
    let path = format!("{}{COLLECTION}", nginx::PROXIED);
    let proxied = WireRequest::new("GET", &path, proxy, &[bed.to_nginx.authorization()], b"");
    report.add(rows::PROXY_PASS, "1/s", bed.load(&proxied, proxy, 200).await?.rate());
    let forwarded = bed.load(&through_gateway(bed), bed.addresses.gateway, 200).await?;
    bed.meter.worked();
    report.add(rows::FORWARDING, "1/s", forwarded.rate());
    Ok(())
}

fn through_gateway(bed: &Bed<'_>) -> WireRequest {
    bed.to_nginx.get(&format!("/v1/external/{COLLECTION}"))
}
