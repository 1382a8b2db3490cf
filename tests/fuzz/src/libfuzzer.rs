//! One target under libFuzzer: `fuzz` with libFuzzer's own arguments, and the target's name in `ONERING_FUZZ_TARGET`.
//! `make fuzz` builds and runs it.
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer calls a function by its exported name")]
#![allow(
    clippy::disallowed_methods,
    reason = "libFuzzer owns the arguments, so the target's name comes by the environment"
)]
#![allow(missing_docs, reason = "what is public here is libFuzzer's")]

use std::sync::LazyLock;

use onering_fuzz::Target;

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var("ONERING_FUZZ_TARGET").unwrap_or_default();
    Target::named(&name).unwrap_or_else(|| panic!("ONERING_FUZZ_TARGET names no target: `{name}`"))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (TARGET.run)(bytes);
});
