//! `api-gateway`: the process that partners call.

use std::process::ExitCode;

use api_gateway::Application;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

// Requests are answered on threads of their own (ONERING_HTTP_WORKERS). What they share – commits, pushes, look-ups – is little work in
// many small steps that wait for each other, and one thread does it without waking another at each.
#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> ExitCode {
    onering_service_kit::run(onering_settings::load_gateway(), async |context, settings| {
        Application::build(context, settings).await?.run().await
    })
    .await
}
