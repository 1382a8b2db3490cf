use onering_ids::{KeyId, OwnerId};
use onering_keys::Tier;
use onering_problem::{Code, Problem};
use onering_store::api_keys::KeyFilter;
use onering_web::{Cursor, Limit};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::fields::either;

/// Which keys to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct KeyQuery {
    /// Only of this partner.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$")]
    owner_id: Option<OwnerId>,
    /// The same as `owner_id`.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$")]
    owner_user_id: Option<OwnerId>,
    /// Only of this tier.
    #[param(value_type = Option<String>, pattern = "^(free|pro|enterprise)$")]
    tier: Option<Tier>,
    /// The same as `tier`.
    #[param(value_type = Option<String>, pattern = "^(free|pro|enterprise)$")]
    rate_limit_tier: Option<Tier>,
    /// `true`: only keys that are neither disabled, revoked nor expired; `false`: only those.
    active: Option<bool>,
    /// At most this many: 1–200, 50 by default.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200)]
    pub(super) limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    pub(super) cursor: Option<Cursor<KeyId>>,
}

impl KeyQuery {
    pub(super) fn filter(&self) -> Result<KeyFilter, Problem> {
        let owner_id = either(self.owner_id.clone(), "owner_user_id", self.owner_user_id.clone());
        let tier = either(self.tier, "rate_limit_tier", self.rate_limit_tier);
        Ok(KeyFilter {
            owner_id: owner_id.map_err(of_the_query)?,
            tier: tier.map_err(of_the_query)?,
            active: self.active,
        })
    }
}

/// What is wrong with a query is answered with 400, whatever it is.
fn of_the_query(problem: Problem) -> Problem {
    Problem { code: Code::InvalidQuery, ..problem }
}
