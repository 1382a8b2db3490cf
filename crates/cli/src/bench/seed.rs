//! `onering bench seed`: gives a database the past of a platform that has been in use, so that what is measured on it is
//! measured on tables of that size.
//!
//! What happened is made up from a number, the same each time ([`History`]), and copied day by day, several days at once. Every
//! day is written whole or not at all, so the ledger balances also after it was broken off.

mod calendar;
mod dice;
mod history;
mod plan;
mod population;
mod progress;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use chrono::{DateTime, TimeDelta, Utc};
use onering_clock::Clock;
use onering_store::seeding::{self, Day, DayKind, SeedPartner, Seeder};
use onering_store::{PoolConfig, subscriptions};
use tokio::task::JoinSet;

use self::calendar::Stretch;
use self::history::History;
pub(super) use self::plan::{Plan, Waiting};
use self::population::Population;
use self::progress::Progress;
use crate::args::SeedBench;
use crate::output;

/// What monitoring looks back on.
const STATISTICS: TimeDelta = TimeDelta::hours(24);

/// Seeds the database that the options name.
pub(crate) async fn run(options: SeedBench) -> anyhow::Result<ExitCode> {
    let config = options.database.resolve()?;
    let clock = Clock::system();
    let mut plan = Plan::new(options.deliveries, options.subscriptions, options.seed.unwrap_or(clock.unix_ms()));
    plan.partners = options.partners.unwrap_or(plan.partners);
    plan.days = options.days;
    plan.adds = options.add;
    if options.pending > 0 {
        let mut connection = onering_store::connect(&config).await.context("the database cannot be reached")?;
        let to = match options.webhook {
            None => None,
            Some(id) => {
                let found = subscriptions::get_any_owner(&mut connection, id).await?;
                Some((found.with_context(|| format!("there is no subscription {id}"))?.owner_id, id))
            }
        };
        plan.waiting = Some(Waiting { deliveries: options.pending, is_due: options.due, to });
    }
    let seeded = fill(&config, plan, &clock).await?;
    output::line(&seeded.line());
    Ok(ExitCode::SUCCESS)
}

/// What was done.
pub(super) struct Seeded {
    deliveries: u64,
    copied_in: Duration,
    took: Duration,
}

impl Seeded {
    /// Deliveries a second, without statistics and vacuum.
    pub(super) fn rate(&self) -> f64 {
        self.deliveries as f64 / self.copied_in.as_secs_f64()
    }

    fn line(&self) -> String {
        format!(
            "{} deliveries with their events and attempts in {:.1} s ({:.0} deliveries/s); with statistics and vacuum {:.1} s",
            self.deliveries,
            self.copied_in.as_secs_f64(),
            self.rate(),
            self.took.as_secs_f64(),
        )
    }
}

/// Fills a database that is migrated.
pub(super) async fn fill(config: &PoolConfig, plan: Plan, clock: &Clock) -> anyhow::Result<Seeded> {
    // Counting and vacuuming take as long as they take.
    let config = config.clone().application_name("onering-seed").statement_timeout(Duration::ZERO);
    let mut connection = onering_store::connect(&config).await.context("the database cannot be reached")?;
    if !plan.adds && seeding::has_events(&mut connection).await.context("is the database migrated?")? {
        bail!("this database has events already: use an empty one, or --add to add to what is there");
    }
    let (started, now) = (clock.monotonic(), clock.now());
    let population = Arc::new(Population::new(&plan, now)?);
    let present = seeding::days(&mut connection).await?;
    let mut stretches = plan.stretches(now);
    // Days without partitions are the larger part and wait for nobody: they go first.
    stretches.sort_by_key(|stretch| present.contains(&stretch.day));
    copy_partners(&config, &population).await?;
    let kind = |stretch: &Stretch| if present.contains(&stretch.day) { DayKind::Present } else { DayKind::Missing };
    let work = stretches.into_iter().map(|stretch| (kind(&stretch), stretch)).collect();
    copy_days(&config, &population, work, now).await?;
    let copied_in = clock.monotonic().saturating_duration_since(started);
    eprintln!("counting statistics, vacuuming");
    seeding::fill_statistics(&mut connection, population.worker(), now - STATISTICS).await?;
    seeding::vacuum(&mut connection).await?;
    let took = clock.monotonic().saturating_duration_since(started);
    Ok(Seeded { deliveries: plan.total(), copied_in, took })
}

async fn copy_partners(config: &PoolConfig, population: &Population) -> anyhow::Result<()> {
    eprintln!("{} partners, {} subscriptions", population.owners().len(), population.subscriptions().end);
    let owners = population.owners().iter().map(|owner| SeedPartner { owner });
    let subscriptions = population.subscriptions().map(|number| population.subscription(number));
    let mut seeder = Seeder::open(config).await?;
    seeder.copy_partners(owners, subscriptions).await.context("were partners of this --seed made here before?")
}

/// Copies the stretches, as many at once as there are processors.
async fn copy_days(
    config: &PoolConfig,
    population: &Arc<Population>,
    mut work: Vec<(DayKind, Stretch)>,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    let progress = Arc::new(Progress::new(work.iter().map(|(_, stretch)| stretch.deliveries).sum()));
    let telling = progress.keep_telling();
    work.reverse();
    let mut copying = JoinSet::new();
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    loop {
        while copying.len() < at_once
            && let Some((kind, stretch)) = work.pop()
        {
            let (config, population, progress) = (config.clone(), Arc::clone(population), Arc::clone(&progress));
            copying.spawn(async move { copy_stretch(&config, &population, kind, stretch, now, &progress).await });
        }
        match copying.join_next().await {
            Some(copied) => copied??,
            None => break,
        }
    }
    drop(telling);
    Ok(())
}

async fn copy_stretch(
    config: &PoolConfig,
    population: &Population,
    kind: DayKind,
    stretch: Stretch,
    now: DateTime<Utc>,
    progress: &Progress,
) -> anyhow::Result<()> {
    let mut seeder = Seeder::open(config).await?;
    let day = stretch.day;
    let history = History::new(population, stretch, now);
    let copied = seeder.copy_day(Day {
        day,
        kind,
        events: history.events(),
        deliveries: history.deliveries().inspect(|_| progress.count()),
        attempts: history.attempts(),
    });
    copied.await.with_context(|| format!("day {day}"))
}
