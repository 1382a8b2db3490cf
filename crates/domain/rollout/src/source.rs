use crate::percent::Percent;
use crate::switch::{Switch, SwitchError, Value};

/// What one source (the environment, the flag files, the overrides) says; `None` where it is silent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceValues {
    /// [`Switch::ExternalApi`].
    pub external_api: Option<bool>,
    /// [`Switch::CanaryOnly`].
    pub canary_only: Option<bool>,
    /// [`Switch::Webhooks`].
    pub webhooks: Option<bool>,
    /// [`Switch::Delivery`].
    pub delivery: Option<bool>,
    /// [`Switch::ApiPercent`].
    pub api_percent: Option<Percent>,
    /// [`Switch::WebhookPercent`].
    pub webhook_percent: Option<Percent>,
    /// [`Switch::CohortSalt`].
    pub cohort_salt: Option<String>,
}

impl SourceValues {
    /// Takes the text the source has for a switch. On an error the former value stays: the last good one.
    ///
    /// # Errors
    /// When the text is no value for the switch.
    pub fn set(&mut self, switch: Switch, text: &str) -> Result<(), SwitchError> {
        self.put(switch, Some(switch.parse_value(text)?));
        Ok(())
    }

    /// Makes the source silent about a switch.
    pub fn unset(&mut self, switch: Switch) {
        self.put(switch, None);
    }

    /// What the source says about a switch.
    #[must_use]
    pub fn get(&self, switch: Switch) -> Option<Value> {
        match switch {
            Switch::ExternalApi => self.external_api.map(Value::OnOff),
            Switch::CanaryOnly => self.canary_only.map(Value::OnOff),
            Switch::Webhooks => self.webhooks.map(Value::OnOff),
            Switch::Delivery => self.delivery.map(Value::OnOff),
            Switch::ApiPercent => self.api_percent.map(Value::Percent),
            Switch::WebhookPercent => self.webhook_percent.map(Value::Percent),
            Switch::CohortSalt => self.cohort_salt.clone().map(Value::Text),
        }
    }

    /// All it says.
    pub fn iter(&self) -> impl Iterator<Item = (Switch, Value)> {
        Switch::ALL.into_iter().filter_map(|switch| Some((switch, self.get(switch)?)))
    }

    /// This source where it speaks, the other where it is silent.
    pub(crate) fn or(self, other: &Self) -> Self {
        Self {
            external_api: self.external_api.or(other.external_api),
            canary_only: self.canary_only.or(other.canary_only),
            webhooks: self.webhooks.or(other.webhooks),
            delivery: self.delivery.or(other.delivery),
            api_percent: self.api_percent.or(other.api_percent),
            webhook_percent: self.webhook_percent.or(other.webhook_percent),
            cohort_salt: self.cohort_salt.or_else(|| other.cohort_salt.clone()),
        }
    }

    /// Private, because it trusts that the value is of the switch's kind; any other kind counts as silence.
    fn put(&mut self, switch: Switch, value: Option<Value>) {
        let (on, percent, text) = match value {
            Some(Value::OnOff(on)) => (Some(on), None, None),
            Some(Value::Percent(percent)) => (None, Some(percent), None),
            Some(Value::Text(text)) => (None, None, Some(text)),
            None => (None, None, None),
        };
        match switch {
            Switch::ExternalApi => self.external_api = on,
            Switch::CanaryOnly => self.canary_only = on,
            Switch::Webhooks => self.webhooks = on,
            Switch::Delivery => self.delivery = on,
            Switch::ApiPercent => self.api_percent = percent,
            Switch::WebhookPercent => self.webhook_percent = percent,
            Switch::CohortSalt => self.cohort_salt = text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_text_keeps_the_last_good_value() {
        let mut files = SourceValues::default();
        files.set(Switch::Delivery, "1\n").unwrap();
        assert!(files.set(Switch::Delivery, "perhaps").is_err());
        assert_eq!(files.get(Switch::Delivery), Some(Value::OnOff(true)));
    }

    #[test]
    fn a_value_that_is_gone_is_silence() {
        let mut files = SourceValues::default();
        files.set(Switch::CohortSalt, "draw").unwrap();
        assert_eq!(files.iter().collect::<Vec<_>>(), [(Switch::CohortSalt, Value::Text("draw".to_owned()))]);
        files.unset(Switch::CohortSalt);
        assert_eq!(files, SourceValues::default());
    }
}
