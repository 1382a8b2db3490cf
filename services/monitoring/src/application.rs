//! [`Application`]: the service put together, for the process and for tests alike.

use std::time::Duration;

use actix_web::web;
use onering_keys::Role;
use onering_service_kit::{KitError, ServiceContext};
use onering_settings::MonitoringSettings;
use onering_store::{Pool, StoreError};
use onering_telemetry::MetricsError;
use onering_web::{JwtVerifier, OperatorAuth, Server, WeakJwtSecret};

use crate::operator_directory::operator_directory;
use crate::sources::{LEDGER_DEADLINE, Sources};
use crate::{routes, watches};

/// Ledgers read at once, the one in the background included.
const LEDGER_CONNECTIONS: usize = 2;

/// The service, watching and ready to answer.
pub struct Application {
    context: ServiceContext,
    sources: web::Data<Sources>,
    auth: web::Data<OperatorAuth>,
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The connections of the ledger.
    #[error("the ledger's connections cannot be set up")]
    Ledger(#[source] StoreError),
    /// The gauges.
    #[error("the gauges cannot be declared")]
    Metrics(#[source] MetricsError),
    /// The secret of the operators' JWTs.
    #[error("ONERING_ADMIN_JWT_SECRET cannot be used")]
    JwtSecret(#[source] WeakJwtSecret),
}

impl Application {
    /// Puts the service together and starts what it does in the background.
    ///
    /// # Errors
    /// [`StartError`]: none of these goes away by itself.
    pub fn build(context: ServiceContext, settings: &MonitoringSettings) -> Result<Self, StartError> {
        // Postgres gives up before whoever waits does: a read nobody waits for must not keep one of the few connections busy.
        let timeout = LEDGER_DEADLINE - Duration::from_secs(5);
        let ledger_database = context.database.clone().size(LEDGER_CONNECTIONS).statement_timeout(timeout);
        let sources = Sources {
            pool: context.pool.clone(),
            ledger_pool: Pool::new(&ledger_database).map_err(StartError::Ledger)?,
            clock: context.clock.clone(),
            thresholds: settings.thresholds,
        };
        let auth = operator_auth(&context, settings).map_err(StartError::JwtSecret)?;
        watches::start(&context, &sources).map_err(StartError::Metrics)?;
        Ok(Self { context, sources: web::Data::new(sources), auth: web::Data::new(auth) })
    }

    /// Answers until the process is told to stop.
    ///
    /// # Errors
    /// Where the address cannot be had or the server fails.
    pub async fn run(&self) -> Result<(), KitError> {
        self.context.run(self.bind()?).await
    }

    /// The first half of [`run`](Self::run): the server is bound and answers, for whoever wants to know its address.
    /// [`ServiceContext::run`] is the second.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub fn bind(&self) -> Result<Server, KitError> {
        let (sources, auth) = (self.sources.clone(), self.auth.clone());
        self.context.bind(move |config| {
            config.app_data(sources.clone()).app_data(auth.clone()).configure(routes::configure);
        })
    }
}

fn operator_auth(context: &ServiceContext, settings: &MonitoringSettings) -> Result<OperatorAuth, WeakJwtSecret> {
    let directory = operator_directory(context.pool.clone(), context.clock.clone());
    let mut auth = OperatorAuth::new(directory, context.clock.clone());
    if let Some(secret) = &settings.operators.jwt_secret {
        auth = auth.with_jwt(JwtVerifier::new(secret.expose().as_bytes())?);
    }
    Ok(if settings.open { auth.open_to_all_as(Role::Viewer) } else { auth })
}
