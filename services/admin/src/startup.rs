use std::sync::Arc;

use actix_web::web;
use onering_secrets::KeyRing;
use onering_service_kit::{ServiceContext, ServiceResult};
use onering_settings::AdminSettings;
use onering_web::{JwtVerifier, OperatorAuth};
use onering_webhook_client::AddressGuard;
use onering_webhook_operations::{Parts, WebhookOperations};

use crate::operator_directory::operator_directory;
use crate::routes;
use crate::state::AdminState;

/// Builds the service from its settings and answers until it is told to stop.
///
/// # Errors
/// Settings that can never work, and a server that cannot run.
pub async fn start(context: ServiceContext, settings: AdminSettings) -> ServiceResult {
    let clock = &context.clock;
    let webhooks = WebhookOperations::new(Parts {
        pool: context.pool.clone(),
        queue: context.queue.clone(),
        flags: context.flags.clone(),
        key_ring: KeyRing::parse(settings.secrets_keys.expose(), clock.clone())?,
        guard: AddressGuard::new(settings.webhooks.allow_http, settings.webhooks.allow_cidrs.clone()),
        clock: clock.clone(),
        process: context.settings.process.instance.clone(),
        lease: settings.webhooks.lease,
    });
    let mut auth = OperatorAuth::new(operator_directory(context.pool.clone(), clock.clone()), clock.clone());
    if let Some(secret) = &settings.operators.jwt_secret {
        auth = auth.with_jwt(JwtVerifier::new(secret.expose().as_bytes())?);
    }
    let state = AdminState {
        pool: context.pool.clone(),
        announcer: context.queue.announcer(),
        flags: context.flags.clone(),
        clock: clock.clone(),
        webhooks,
    };
    let (auth, state) = (web::Data::new(auth), web::Data::from(Arc::new(state)));
    context
        .serve(move |config| {
            config.app_data(auth.clone()).app_data(state.clone()).configure(routes::configure);
        })
        .await?;
    Ok(())
}
