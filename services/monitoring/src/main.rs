//! The monitoring process: settings, then [`monitoring::Application`].

use std::process::ExitCode;

use monitoring::Application;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    onering_service_kit::run(onering_settings::load_monitoring(), async |context, settings| {
        Application::build(context, &settings)?.run().await?;
        Ok(())
    })
    .await
}
