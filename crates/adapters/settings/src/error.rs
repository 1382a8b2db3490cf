//! [`SettingsError`]: everything that is wrong, at once.

use std::fmt;

/// One variable that cannot be used, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingProblem {
    /// The variable.
    pub variable: String,
    /// What is wrong. Never quotes a secret.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.variable, self.problem, self.remedy)
    }
}

/// The settings cannot be used. Lists every problem, so that one look repairs them all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration cannot be used:{}", lines(problems))]
pub struct SettingsError {
    problems: Vec<SettingProblem>,
}

impl SettingsError {
    pub(crate) fn new(problems: Vec<SettingProblem>) -> Self {
        Self { problems }
    }

    /// Each problem, in the order of reading.
    #[must_use]
    pub fn problems(&self) -> &[SettingProblem] {
        &self.problems
    }
}

fn lines(problems: &[SettingProblem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// Something in the configuration that is probably a slip, but stops nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingWarning {
    /// The variable.
    pub variable: String,
    /// What is odd about it.
    pub warning: String,
}

impl fmt::Display for SettingWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.variable, self.warning)
    }
}
