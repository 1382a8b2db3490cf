//! What the machine and its stores do without the platform.

use std::time::Duration;

use super::super::bed::Bed;
use super::super::goals::rows;
use super::super::http_load::WireRequest;
use super::super::report::Report;
use super::super::{commits, redis_benchmark};

pub(super) async fn measure(bed: &Bed<'_>, report: &mut Report) -> anyhow::Result<()> {
    let nginx = bed.nginx.address();
    let answers = bed.load(&WireRequest::new("GET", "/", nginx, &[], b""), nginx, 200).await?;
    report.add(rows::NGINX_GET, "1/s", answers.rate());
    let stores = &bed.addresses.stores;
    if let Some(commits) = commits::per_second(&stores.database_url, bed.duration.max(Duration::from_secs(1))).await? {
        report.add(rows::COMMITS, "1/s", commits);
    }
    if let Some(commands) = redis_benchmark::per_second(&stores.redis_url, bed.duration).await? {
        report.add(rows::REDIS, "1/s", commands);
    }
    Ok(())
}
