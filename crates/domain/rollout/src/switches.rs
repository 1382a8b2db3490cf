use serde::{Serialize, Serializer};

use crate::cohort::Cohort;
use crate::percent::Percent;
use crate::switch::{Switch, Value, default_salt};

/// The switches in force in a process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Switches {
    /// Whether the external API answers.
    pub external_api: bool,
    /// Whether it admits canary keys only.
    pub canary_only: bool,
    /// Whether subscriptions and events are taken.
    pub webhooks: bool,
    /// Whether deliveries are sent.
    pub delivery: bool,
    /// The partners the external API is open to.
    pub api_cohort: Cohort,
    /// The partners deliveries are sent to.
    pub webhook_cohort: Cohort,
}

impl Switches {
    /// The value of one switch.
    #[must_use]
    pub fn value(&self, switch: Switch) -> Value {
        match switch {
            Switch::ExternalApi => Value::OnOff(self.external_api),
            Switch::CanaryOnly => Value::OnOff(self.canary_only),
            Switch::Webhooks => Value::OnOff(self.webhooks),
            Switch::Delivery => Value::OnOff(self.delivery),
            Switch::ApiPercent => Value::Percent(self.api_cohort.percent),
            Switch::WebhookPercent => Value::Percent(self.webhook_cohort.percent),
            Switch::CohortSalt => Value::Text(self.api_cohort.salt.clone()),
        }
    }

    /// 16 hex digits by which to see at a glance whether two processes run with the same switches.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        // FNV-1a, 64 bit: this guards against mistakes, not against an adversary, and must not change between releases
        // or processes of different releases would seem to disagree.
        const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let mut hash = OFFSET;
        for switch in Switch::ALL {
            // No value holds a control character, so the line ends keep lines apart.
            for byte in format!("{switch}={}\n", self.value(switch)).bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
            }
        }
        format!("{hash:016x}")
    }
}

/// Everything off; the cohorts, which narrow an API that is on, hold everybody.
impl Default for Switches {
    fn default() -> Self {
        let everybody = || Cohort { percent: Percent::ALL, salt: default_salt() };
        Self {
            external_api: false,
            canary_only: false,
            webhooks: false,
            delivery: false,
            api_cohort: everybody(),
            webhook_cohort: everybody(),
        }
    }
}

/// An object with the switches' names as keys.
impl Serialize for Switches {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Switch::ALL.map(|switch| (switch.name(), self.value(switch))))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_has_the_names_operators_type() {
        assert_eq!(
            serde_json::to_value(Switches::default()).unwrap(),
            json!({
                "ONERING_EXTERNAL_API_ENABLED": false,
                "ONERING_EXTERNAL_API_CANARY_ONLY": false,
                "ONERING_WEBHOOKS_ENABLED": false,
                "ONERING_WEBHOOKS_DELIVERY_ENABLED": false,
                "ONERING_EXTERNAL_API_COHORT_PERCENT": 100,
                "ONERING_WEBHOOKS_COHORT_PERCENT": 100,
                "ONERING_COHORT_SALT": "onering",
            })
        );
    }

    #[test]
    fn the_defaults_are_those_the_switches_name() {
        for switch in Switch::ALL {
            assert_eq!(switch.parse_value(switch.default_text()), Ok(Switches::default().value(switch)));
        }
    }

    #[test]
    fn the_fingerprint_stays_from_release_to_release() {
        assert_eq!(Switches::default().fingerprint(), "ca52a9811190ecd4");
    }
}
