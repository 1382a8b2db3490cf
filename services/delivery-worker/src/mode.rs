//! What the command line asks for.

use std::process::ExitCode;

/// How long the worker works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// `--loop`: until told to stop.
    #[default]
    Loop,
    /// `--once`: until nothing is due any more.
    Once,
}

/// The command line was not understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Usage(String);

impl Mode {
    /// Reads the arguments (without the program's name).
    ///
    /// # Errors
    /// [`Usage`] for anything but `--loop` or `--once`.
    pub fn of(arguments: impl Iterator<Item = String>) -> Result<Self, Usage> {
        let mut mode = Self::default();
        for argument in arguments {
            mode = match argument.as_str() {
                "--loop" => Self::Loop,
                "--once" => Self::Once,
                _ => return Err(Usage(argument)),
            };
        }
        Ok(mode)
    }
}

impl Usage {
    /// Says what can be typed; exit code 2.
    #[expect(clippy::print_stderr, reason = "there is no log yet")]
    #[must_use]
    pub fn print(&self) -> ExitCode {
        eprintln!("delivery-worker: {} is not understood; use --loop (the default) or --once", self.0);
        ExitCode::from(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read() {
        let mode = |arguments: &[&str]| Mode::of(arguments.iter().map(|argument| (*argument).to_owned()));
        assert_eq!(mode(&[]), Ok(Mode::Loop));
        assert_eq!(mode(&["--once"]), Ok(Mode::Once));
        assert_eq!(mode(&["--once", "--loop"]), Ok(Mode::Loop));
        assert_eq!(mode(&["--twice"]), Err(Usage("--twice".to_owned())));
    }
}
