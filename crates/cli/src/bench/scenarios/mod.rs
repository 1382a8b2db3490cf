//! The scenarios of the table, and in which order a repetition goes through them. Each takes its references itself, right
//! before what is held against them.

mod decisions;
mod end_to_end;
mod fan_out;
mod forwarding;
mod ingest_and_drain;
mod latency;
mod references;
mod start;

use anyhow::Context as _;

use super::bed::{Bed, Receiver};
use super::report::Report;
use crate::args::Scenario;

pub(super) use fan_out::SUBSCRIPTIONS as FAN_OUT;

/// What is made once and used in every repetition.
pub(super) struct Scenarios {
    chosen: Vec<Scenario>,
    many_keys: Option<decisions::ManyKeys>,
}

impl Scenarios {
    /// Gets ready for these.
    pub(super) async fn prepare(bed: &mut Bed<'_>, chosen: &[Scenario]) -> anyhow::Result<Self> {
        let chosen: Vec<Scenario> =
            Scenario::ALL.into_iter().filter(|one| chosen.is_empty() || chosen.contains(one)).collect();
        let many_keys = match chosen.contains(&Scenario::Decisions) {
            true => Some(decisions::ManyKeys::make(bed).await?),
            false => None,
        };
        if chosen.contains(&Scenario::Forwarding) {
            forwarding::prepare(bed).await?;
        }
        if chosen.iter().any(Scenario::delivers) {
            end_to_end::warm_up(bed).await?;
        }
        Ok(Self { chosen, many_keys })
    }

    /// Every chosen one once.
    pub(super) async fn repeat(&self, bed: &mut Bed<'_>, report: &mut Report) -> anyhow::Result<()> {
        for scenario in &self.chosen {
            eprintln!("  {}", scenario.name());
            self.one(*scenario, bed, report).await.with_context(|| format!("the scenario {}", scenario.name()))?;
        }
        Ok(())
    }

    async fn one(&self, scenario: Scenario, bed: &mut Bed<'_>, report: &mut Report) -> anyhow::Result<()> {
        match scenario {
            Scenario::References => references::measure(bed, report).await,
            Scenario::E2e => {
                end_to_end::measure(bed, Receiver::Nginx, report).await?;
                end_to_end::measure(bed, Receiver::Bare, report).await
            }
            Scenario::FanOut => fan_out::measure(bed, report).await,
            Scenario::Ingest => ingest_and_drain::measure(bed, report).await,
            Scenario::Latency => latency::measure(bed, report).await,
            Scenario::Decisions => {
                let keys = self.many_keys.as_ref().context("no keys were made")?;
                decisions::measure(bed, keys, report).await
            }
            Scenario::Forwarding => forwarding::measure(bed, report).await,
            Scenario::Start => start::measure(bed, report).await,
        }
    }
}
