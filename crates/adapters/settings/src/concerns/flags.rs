//! The switches as the environment has them, and where the files that beat them are.

use std::path::PathBuf;

use onering_rollout::{SourceValues, Switch};

use crate::reader::Reader;
use crate::table::{self, FLAGS_DIR};

/// Where the switches come from, besides the overrides in Postgres.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flags {
    /// The directory of switch files, where there is one.
    pub dir: Option<PathBuf>,
    /// What the environment says. Silent about what is not set there, so that defaults are the domain's.
    pub environment: SourceValues,
}

impl Flags {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let dir = reader.path(&FLAGS_DIR);
        let mut environment = SourceValues::default();
        for switch in Switch::ALL {
            let Some(variable) = table::find(switch.name()) else {
                continue;
            };
            let Some(text) = reader.given_text(variable) else {
                continue;
            };
            if let Err(error) = environment.set(switch, text) {
                reader.refuse(variable, format!("`{text}` cannot be used"), error.to_string());
            }
        }
        Some(Self { dir, environment })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::Values;
    use crate::variable::Service;

    #[test]
    fn every_switch_of_the_domain_has_its_row_with_the_same_default() {
        for switch in Switch::ALL {
            let variable = table::find(switch.name()).unwrap_or_else(|| panic!("{switch} has no row"));
            assert_eq!(variable.default_for(Service::Admin), Some(switch.default_text()), "{switch}");
        }
    }

    #[test]
    fn the_environment_is_silent_about_what_is_not_set() {
        let values = Values::from_map([("ONERING_WEBHOOKS_ENABLED", "on")]);
        let flags = Flags::read(&mut Reader::new(&values, Service::ApiGateway)).unwrap();
        let mut expected = SourceValues::default();
        expected.set(Switch::Webhooks, "1").unwrap();
        assert_eq!(flags.environment, expected);
    }
}
