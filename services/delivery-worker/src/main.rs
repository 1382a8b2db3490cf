//! The delivery worker's process: settings, then [`delivery_worker::run`].

use std::process::ExitCode;

use delivery_worker::Mode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let mode = match Mode::of(std::env::args().skip(1)) {
        Ok(mode) => mode,
        Err(usage) => return usage.print(),
    };
    onering_service_kit::run(onering_settings::load_worker(), async |context, settings| {
        delivery_worker::run(context, settings, mode).await
    })
    .await
}
