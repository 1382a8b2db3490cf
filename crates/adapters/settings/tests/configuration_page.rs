//! `docs/configuration.md` says what the code does.

use std::path::Path;

#[test]
fn the_page_is_the_one_the_table_generates() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/configuration.md");
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        page == onering_settings::configuration_markdown(),
        "docs/configuration.md is not what the table of variables generates; \
         run `cargo run -p onering-settings --example configuration_markdown` and commit the result"
    );
}
