//! `api-gateway`: the process that partners call.

use std::process::ExitCode;

use api_gateway::Application;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    onering_service_kit::run(onering_settings::load_gateway(), async |context, settings| {
        Application::build(context, settings).await?.run().await
    })
    .await
}
