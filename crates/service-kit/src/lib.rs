//! What every service does the same way: start, follow the switches, hear announcements, answer for its health, stop.
//!
//! Entry points: [`run`], the whole of a `main`; [`ServiceContext`], what a service is given; [`Tasks`], [`periodic`] and
//! [`FailureLog`] for work in the background. A new service is its settings, its routes, and this:
//!
//! ```no_run
//! # use std::process::ExitCode;
//! #[tokio::main]
//! async fn main() -> ExitCode {
//!     onering_service_kit::run(onering_settings::load_monitoring(), async |context, settings| {
//!         let open = settings.open;
//!         context.tasks.periodic("example", std::time::Duration::from_secs(60), || async { Ok::<_, std::io::Error>(()) });
//!         context.serve(move |_routes| assert!(!open)).await?;
//!         Ok(())
//!     })
//!     .await
//! }
//! ```
//!
//! Invariants: a Postgres that is away delays the start and ends nothing; until the runtime overrides of the switches are
//! known, nothing is open; background work outlives the requests that may need it, and ends before the process does.
//!
//! Deliberately absent: anything that only one service does.

mod announcements;
mod context;
mod error;
mod flag_overrides;
mod flag_receipts;
mod gauges;
mod open_files;
mod periodic;
mod run;
mod settings;
mod tasks;

pub use announcements::{AnnouncementBus, AnnouncementReceiver};
pub use context::ServiceContext;
pub use error::{KitError, error_chain};
pub use periodic::{FailureLog, periodic};
pub use run::{ServiceResult, run};
pub use settings::ServiceSettings;
pub use tasks::{Ending, Tasks};
