//! The admin service: operators work with keys, partners, subscriptions and switches.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    onering_service_kit::run(onering_settings::load_admin(), admin::start).await
}
