//! Events accepted and delivered under full load, one subscription; what an event costs; what gateway and worker hold meanwhile.

use std::time::Duration;

use anyhow::ensure;
use onering_clock::Clock;
use tokio_util::sync::CancellationToken;

use super::super::bed::{Bed, Receiver};
use super::super::closed_loop::{self, Load};
use super::super::goals::rows;
use super::super::report::Report;
use super::super::resources::resident_mb;

/// How often memory is looked at.
const SAMPLE: Duration = Duration::from_millis(50);
/// Before the first figure is taken.
const WARM_UP: Duration = Duration::from_secs(1);

/// What one receiver's rows are called.
struct Names {
    ceiling: &'static str,
    delivered: &'static str,
    accepted: &'static str,
    transactions: &'static str,
    into: &'static str,
}

const fn names(receiver: Receiver) -> Names {
    match receiver {
        Receiver::Nginx => Names {
            ceiling: rows::POSTS_TO_NGINX,
            delivered: rows::INTO_NGINX,
            accepted: "accepted meanwhile (202 after commit), into nginx",
            transactions: rows::TRANSACTIONS,
            into: "",
        },
        Receiver::Bare => Names {
            ceiling: rows::POSTS_TO_BARE,
            delivered: rows::INTO_BARE,
            accepted: "accepted meanwhile (202 after commit), into the bare server",
            transactions: "transactions an event, into the bare server",
            into: ", into the bare server",
        },
    }
}

/// Statements are prepared, connections opened and caches filled before anything counts.
pub(super) async fn warm_up(bed: &mut Bed<'_>) -> anyhow::Result<()> {
    for (receiver, event) in [(Receiver::Nginx, bed.to_nginx.event("")), (Receiver::Bare, bed.to_bare.event(""))] {
        let before = bed.received(receiver).await?;
        let load = Load::same(bed.addresses.gateway, &event, bed.connections, WARM_UP, 202);
        let loaded = closed_loop::send(load).await?;
        bed.wait_until_received(receiver, before + loaded.answered).await?;
    }
    bed.meter.worked();
    Ok(())
}

pub(super) async fn measure(bed: &mut Bed<'_>, receiver: Receiver, report: &mut Report) -> anyhow::Result<()> {
    let names = names(receiver);
    report.add(names.ceiling, "1/s", bed.posts(receiver).await?);
    let transactions = bed.meter.transactions().await?;
    let (received, delivered) = (bed.received(receiver).await?, bed.delivered().await?);
    let receiver_pid = bed.pid(receiver);
    let before = bed.meter.read(receiver_pid).await?;

    let event = match receiver {
        Receiver::Nginx => bed.to_nginx.event(""),
        Receiver::Bare => bed.to_bare.event(""),
    };
    let stop = CancellationToken::new();
    let loading = async {
        let loaded = bed.load(&event, bed.addresses.gateway, 202).await?;
        bed.wait_until_received(receiver, received + loaded.answered).await?;
        let took = Clock::system().monotonic().saturating_duration_since(loaded.started);
        stop.cancel();
        anyhow::Ok((loaded, took))
    };
    let (loaded, (gateway_mb, worker_mb)) = tokio::join!(loading, most_memory(bed.meter.hot_pids(), &stop));
    let (loaded, took) = loaded?;
    ensure!(loaded.answered > 0, "no event was accepted");
    bed.wait_until_delivered(delivered + loaded.answered).await?;
    bed.meter.worked();

    report.add(names.delivered, "1/s", loaded.answered as f64 / took.as_secs_f64());
    report.add(names.accepted, "1/s", loaded.rate());
    bed.meter.read(receiver_pid).await?.report_since(&before, loaded.answered, names.into, report);
    let transactions = bed.meter.transactions().await?.saturating_sub(transactions);
    report.add(names.transactions, "", transactions as f64 / loaded.answered as f64);
    if receiver == Receiver::Nginx {
        report.add("resident memory at full load: gateway", "MB", gateway_mb);
        report.add("resident memory at full load: worker", "MB", worker_mb);
    }
    Ok(())
}

/// The most that gateway and worker were seen to hold, until told to stop.
async fn most_memory((gateway, worker): (i32, i32), stop: &CancellationToken) -> (f64, f64) {
    let (mut of_gateway, mut of_worker) = (0.0_f64, 0.0_f64);
    loop {
        of_gateway = of_gateway.max(resident_mb(gateway).unwrap_or_default());
        of_worker = of_worker.max(resident_mb(worker).unwrap_or_default());
        if stop.run_until_cancelled(tokio::time::sleep(SAMPLE)).await.is_none() {
            return (of_gateway, of_worker);
        }
    }
}
