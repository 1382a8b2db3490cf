//! The whole of a `main`.

use std::error::Error;
use std::process::ExitCode;

use onering_settings::SettingsError;
use onering_telemetry::field;
use onering_web::stop_on_signals;

use crate::context::ServiceContext;
use crate::error::{KitError, error_chain};
use crate::open_files;
use crate::settings::ServiceSettings;

/// What a service ends with. Any error will do, `anyhow`'s too.
pub type ServiceResult = Result<(), Box<dyn Error + Send + Sync>>;

/// Runs a service from its settings to its exit code: the TLS provider, telemetry, signals, the limit of open files, the
/// context, `service` itself, and the end of everything in the background. Errors are logged with all their causes;
/// unusable settings, which come before logging, go to standard error.
pub async fn run<S, F>(settings: Result<S, SettingsError>, service: F) -> ExitCode
where
    S: ServiceSettings,
    F: AsyncFnOnce(ServiceContext, S) -> ServiceResult,
{
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => return refuse_to_start(&error),
    };
    // An error means that there is one already, which is just as good.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let common = settings.common().clone();
    // Held to the end: dropping it sends the last traces.
    let _telemetry = match onering_telemetry::init(&common.telemetry, &common.process) {
        Ok(guard) => guard,
        Err(error) => return refuse_to_start(&error),
    };
    for warning in &common.warnings {
        tracing::warn!("{warning}");
    }
    let ended = start_and_run(settings, service).await;
    match ended {
        Ok(()) => {
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        Err(error) if matches!(error.downcast_ref(), Some(KitError::Stopped)) => {
            tracing::info!("stopped before the start was complete");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!({ field::ERROR } = error_chain(&*error), "the service failed");
            ExitCode::FAILURE
        }
    }
}

async fn start_and_run<S, F>(settings: S, service: F) -> ServiceResult
where
    S: ServiceSettings,
    F: AsyncFnOnce(ServiceContext, S) -> ServiceResult,
{
    let stop = stop_on_signals().map_err(KitError::Signals)?;
    open_files::raise_limit();
    let context = ServiceContext::open(&settings, stop).await?;
    let ended = service(context.clone(), settings).await;
    // Also for a service that did not serve, and after one that failed.
    context.finish().await;
    ended
}

#[expect(clippy::print_stderr, reason = "there is no log yet")]
fn refuse_to_start(error: &(dyn Error + 'static)) -> ExitCode {
    eprintln!("{}", error_chain(error));
    ExitCode::FAILURE
}
