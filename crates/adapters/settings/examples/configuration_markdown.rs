//! Writes `docs/configuration.md`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/configuration.md");
    std::fs::write(page, onering_settings::configuration_markdown())
}
