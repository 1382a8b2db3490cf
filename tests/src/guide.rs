//! The code in the partner guide, as its readers copy it.

use crate::outside::repository;

/// The fenced block of the partner guide with this info string, such as `python verify`.
///
/// # Panics
/// When the guide does not have exactly one.
#[must_use]
pub fn guide_block(info: &str) -> String {
    let path = repository().join("docs/partner-guide.md");
    let guide = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let opening = format!("```{info}\n");
    let blocks: Vec<&str> = guide.split(opening.as_str()).skip(1).collect();
    let [block] = blocks.as_slice() else { panic!("the guide has {} blocks ```{info}", blocks.len()) };
    let end = block.find("```").unwrap_or_else(|| panic!("the block ```{info} does not end"));
    block[..end].to_owned()
}
