//! The switches: what is in force, who has applied it, and how long that took.

use std::collections::BTreeMap;

use actix_web::web::Data;
use onering_flags::Applied;
use onering_problem::Problem;
use onering_rollout::{Kind, Switch};
use onering_store::flags::{self, Override, Receipt};
use onering_web::{ApiResult, OperatorRole, StrictJson, Viewer};
use onering_webhook_operations::{OperationError, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::acting::Acting;
use crate::fields::Reason;
use crate::json_answer::{gone, ok};
use crate::operations::override_flag::{clear_override, set_override};
use crate::path_id::PathId;
use crate::state::AdminState;

/// The switches and their processes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Flags)]
pub(crate) struct FlagsView {
    /// Every switch by name, as this process applies it.
    switches: BTreeMap<&'static str, SwitchView>,
    /// Digest of the switches in force here: equal texts, equal switches.
    fingerprint: String,
    /// What every process that was alive within the last minute has applied.
    processes: Vec<ReceiptView>,
}

/// One switch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Flag)]
pub(crate) struct SwitchView {
    /// Its value in force.
    #[schema(value_type = Value)]
    value: onering_rollout::Value,
    /// `boolean`, `percent` or `text`.
    #[schema(value_type = String, example = "boolean")]
    kind: &'static str,
    /// What it does.
    #[schema(value_type = String)]
    meaning: &'static str,
    /// The override that narrows it, if there is one.
    r#override: Option<OverrideView>,
}

/// A runtime override.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FlagOverride)]
pub(crate) struct OverrideView {
    /// The switch it narrows.
    #[schema(value_type = String, example = "ONERING_WEBHOOKS_DELIVERY_ENABLED")]
    name: Switch,
    /// Its narrowing value.
    #[schema(value_type = Value)]
    value: onering_rollout::Value,
    /// For people.
    reason: String,
    /// Who set it.
    set_by: String,
    /// When.
    set_at: Timestamp,
}

/// What one process has applied.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FlagReceipt)]
pub(crate) struct ReceiptView {
    /// The process.
    process: String,
    /// Which of the services it is.
    service: String,
    /// How many changes it has applied since it started.
    generation: u64,
    /// Digest of its switches.
    fingerprint: String,
    /// Whether it runs with the same switches as this process.
    agrees: bool,
    /// Its switches.
    #[schema(value_type = Object)]
    switches: Value,
    /// When the source of the last change was written; null when nothing changed since it started.
    changed_at: Option<Timestamp>,
    /// When it applied that.
    applied_at: Timestamp,
    /// From the one to the other, in milliseconds.
    took_ms: Option<i64>,
}

impl From<&Override> for OverrideView {
    fn from(set: &Override) -> Self {
        Self {
            name: set.switch,
            value: set.value.clone(),
            reason: set.reason.clone(),
            set_by: set.set_by.clone(),
            set_at: set.set_at.into(),
        }
    }
}

impl FlagsView {
    fn new(applied: &Applied, overrides: &[Override], receipts: Vec<Receipt>) -> Self {
        let switch = |switch: Switch| {
            let kind = match switch.kind() {
                Kind::OnOff => "boolean",
                Kind::Percent => "percent",
                Kind::Text => "text",
            };
            let narrowed = overrides.iter().find(|set| set.switch == switch).map(OverrideView::from);
            let value = applied.switches.value(switch);
            (switch.name(), SwitchView { value, kind, meaning: switch.meaning(), r#override: narrowed })
        };
        Self {
            switches: Switch::ALL.into_iter().map(switch).collect(),
            fingerprint: applied.fingerprint.clone(),
            processes: receipts.into_iter().map(|receipt| ReceiptView::new(receipt, &applied.fingerprint)).collect(),
        }
    }
}

impl ReceiptView {
    fn new(receipt: Receipt, ours: &str) -> Self {
        Self {
            agrees: receipt.fingerprint == ours,
            took_ms: receipt.changed_at.map(|changed_at| (receipt.applied_at - changed_at).num_milliseconds()),
            process: receipt.process,
            service: receipt.service,
            generation: receipt.generation,
            fingerprint: receipt.fingerprint,
            switches: receipt.switches,
            changed_at: receipt.changed_at.map(Timestamp::from),
            applied_at: receipt.applied_at.into(),
        }
    }
}

/// An override to set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SetFlag)]
pub(crate) struct SetFlagBody {
    /// A value that narrows the switch: `0` or `false`, `1` or `true` for canary-only, a percentage for a cohort.
    #[schema(value_type = Value, example = json!(false))]
    value: Value,
    /// For people.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    reason: Option<Reason>,
}

/// The switches in force, their overrides, and what every process has applied.
#[utoipa::path(
    get, path = "/v1/admin/flags", tag = "flags",
    responses((status = 200, description = "The switches.", body = FlagsView))
)]
pub(crate) async fn get(_acting: Acting<Viewer>, state: Data<AdminState>) -> ApiResult {
    let mut connection = state.connection().await?;
    let overrides = flags::overrides(&mut connection).await.map_err(OperationError::from)?;
    let receipts = flags::receipts(&mut connection).await.map_err(OperationError::from)?;
    Ok(ok(&FlagsView::new(&state.flags.applied(), &overrides, receipts)))
}

/// Narrow a switch at run time. A value that would widen it is refused.
#[utoipa::path(
    put, path = "/v1/admin/flags/{name}", tag = "flags",
    params(("name" = String, Path, description = "The switch, such as ONERING_WEBHOOKS_DELIVERY_ENABLED")),
    request_body = SetFlagBody, responses((status = 200, description = "The override.", body = OverrideView))
)]
pub(crate) async fn put(
    acting: Acting<OperatorRole, (PathId<Switch>, StrictJson<SetFlagBody>)>,
    state: Data<AdminState>,
) -> ApiResult {
    let (stamp, (PathId(name), body)) = acting.split();
    let SetFlagBody { value, reason } = body.into_inner();
    let value = narrowing_value(name, &value)?;
    let Reason(reason) = reason.unwrap_or_default();
    Ok(ok(&OverrideView::from(&set_override(&state, &stamp, name, value, reason).await?)))
}

/// Take an override away.
#[utoipa::path(
    delete, path = "/v1/admin/flags/{name}", tag = "flags",
    params(("name" = String, Path, description = "The switch, such as ONERING_WEBHOOKS_DELIVERY_ENABLED")),
    responses((status = 204, description = "It is gone."))
)]
pub(crate) async fn delete(acting: Acting<OperatorRole, PathId<Switch>>, state: Data<AdminState>) -> ApiResult {
    let (stamp, PathId(name)) = acting.split();
    clear_override(&state, &stamp, name).await?;
    Ok(gone())
}

/// The value as text is what files and the environment hold.
fn narrowing_value(switch: Switch, value: &Value) -> Result<onering_rollout::Value, Problem> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Bool(on) => on.to_string(),
        Value::Number(number) => number.to_string(),
        _ => return Err(Problem::invalid("value", "value is a text, a number, true or false.")),
    };
    switch.parse_override(&text).map_err(|refused| Problem::invalid("value", format!("{refused}.")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_narrows_is_taken() {
        for (switch, value) in [
            (Switch::Delivery, json!(false)),
            (Switch::Delivery, json!("off")),
            (Switch::Webhooks, json!(0)),
            (Switch::CanaryOnly, json!(true)),
            (Switch::ApiPercent, json!(12.5)),
            (Switch::ApiPercent, json!(25)),
        ] {
            assert!(narrowing_value(switch, &value).is_ok(), "{switch} {value}");
        }
        for (switch, value) in [
            (Switch::Delivery, json!(true)),
            (Switch::CanaryOnly, json!("0")),
            (Switch::ApiPercent, json!(101)),
            (Switch::ApiPercent, json!(-1)),
            (Switch::CohortSalt, json!("another")),
            (Switch::Delivery, json!(null)),
            (Switch::Delivery, json!([0])),
        ] {
            let problem = narrowing_value(switch, &value).unwrap_err();
            assert_eq!((problem.status(), problem.field.as_deref()), (422, Some("value")), "{switch} {value}");
        }
    }
}
