//! A whole service in thirty lines, with the settings of monitoring: one route, and work in the background.

use std::process::ExitCode;
use std::time::Duration;

use actix_web::{HttpResponse, web};

#[tokio::main]
async fn main() -> ExitCode {
    onering_service_kit::run(onering_settings::load_monitoring(), async |context, _settings| {
        let pool = context.pool.clone();
        context.tasks.periodic("database clock", Duration::from_secs(60), move || {
            let pool = pool.clone();
            async move { onering_store::database_clock::read(&mut *pool.get().await?).await.map(drop) }
        });
        let flags = context.flags.clone();
        context
            .serve(move |routes| {
                let flags = flags.clone();
                let show = move || {
                    let flags = flags.clone();
                    async move { HttpResponse::Ok().json(&*flags.current()) }
                };
                routes.route("/flags", web::get().to(show));
            })
            .await?;
        Ok(())
    })
    .await
}
