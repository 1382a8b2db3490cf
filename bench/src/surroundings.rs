//! What figures depend on besides the code that is measured.

use std::process::Command;

use serde::Deserialize;

use crate::callgrind::{CountError, output_of, valgrind};

/// Compiler, target, valgrind and processor.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Surroundings {
    /// The compiler and its version.
    pub rustc: String,
    /// What it compiles for.
    pub target: String,
    /// The version of valgrind.
    pub valgrind: String,
    /// Which of [`processor`]'s features valgrind's processor has; it takes some from the machine's.
    pub processor: Vec<String>,
}

impl Surroundings {
    /// Those of this machine. `instructions` is the program of that name.
    ///
    /// # Errors
    /// When the compiler, valgrind or the program cannot be asked.
    pub fn here(instructions: &str) -> Result<Self, CountError> {
        let compiler = output_of(Command::new("rustc").arg("-vV"))?.stdout;
        let target = compiler.lines().find_map(|line| line.strip_prefix("host: "));
        let target = target.ok_or(CountError::Answer { of: "rustc -vV", wanted: "host" })?.to_owned();
        let seen = output_of(valgrind().args(["--tool=none", "--quiet", instructions, PROCESSOR_FLAG]))?.stdout;
        Ok(Self {
            rustc: compiler.lines().next().unwrap_or_default().to_owned(),
            target,
            valgrind: output_of(valgrind().arg("--version"))?.stdout.trim().to_owned(),
            processor: seen.split_whitespace().map(str::to_owned).collect(),
        })
    }

    /// As a table of TOML.
    #[must_use]
    pub fn render(&self) -> String {
        let Self { rustc, target, valgrind, processor } = self;
        format!(
            "[measured]\nrustc = {rustc:?}\ntarget = {target:?}\nvalgrind = {valgrind:?}\nprocessor = {processor:?}\n"
        )
    }

    /// What is different from those in which budgets were measured, a line each.
    #[must_use]
    pub fn differences(&self, measured: &Self) -> Vec<String> {
        let list = |features: &[String]| features.join(" ");
        [
            ("rustc", measured.rustc.clone(), self.rustc.clone()),
            ("target", measured.target.clone(), self.target.clone()),
            ("valgrind", measured.valgrind.clone(), self.valgrind.clone()),
            ("processor", list(&measured.processor), list(&self.processor)),
        ]
        .into_iter()
        .filter(|(_, then, now)| then != now)
        .map(|(what, then, now)| format!("{what}: the budgets were measured with \"{then}\", here it is \"{now}\""))
        .collect()
    }
}

/// What makes the program `instructions` print [`processor`].
pub const PROCESSOR_FLAG: &str = "--processor";

/// What the processor has of what our dependencies look for at run time.
#[must_use]
pub fn processor() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let features = [
        ("sse4.1", std::is_x86_feature_detected!("sse4.1")),
        ("pclmulqdq", std::is_x86_feature_detected!("pclmulqdq")),
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("avx512ifma", std::is_x86_feature_detected!("avx512ifma")),
        ("sha", std::is_x86_feature_detected!("sha")),
    ];
    #[cfg(target_arch = "aarch64")]
    let features = [
        ("crc", std::arch::is_aarch64_feature_detected!("crc")),
        ("aes", std::arch::is_aarch64_feature_detected!("aes")),
        ("sha2", std::arch::is_aarch64_feature_detected!("sha2")),
    ];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let features: [(&str, bool); 0] = [];
    features.into_iter().filter_map(|(name, there)| there.then_some(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(rustc: &str, processor: &[&str]) -> Surroundings {
        Surroundings {
            rustc: rustc.to_owned(),
            target: "t".to_owned(),
            valgrind: "v".to_owned(),
            processor: processor.iter().map(|feature| (*feature).to_owned()).collect(),
        }
    }

    #[test]
    fn what_is_different_is_named_and_nothing_else() {
        let then = surroundings("1.95", &["avx2"]);
        assert_eq!(then.differences(&then), Vec::<String>::new());
        assert_eq!(
            surroundings("1.96", &["avx2", "sha"]).differences(&then),
            [
                "rustc: the budgets were measured with \"1.95\", here it is \"1.96\"",
                "processor: the budgets were measured with \"avx2\", here it is \"avx2 sha\"",
            ]
        );
    }
}
