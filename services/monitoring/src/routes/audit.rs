//! `GET /v1/monitoring/audit`: the loss ledger.

use actix_web::web;
use chrono::{DateTime, Utc};
use onering_ids::OwnerId;
use onering_problem::{Code, Problem};
use onering_web::{ApiResult, ProblemSchema, StrictQuery};
use serde::Deserialize;
use utoipa::IntoParams;

use super::fresh;
use super::viewing::Viewing;
use crate::openapi::schemas;
use crate::operations;
use crate::sources::{DAY, Sources};

/// Which events, by their acceptance.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Accepted from here on (RFC 3339); 24 hours before `to` where it is left out.
    from: Option<DateTime<Utc>>,
    /// Accepted before this (RFC 3339); now where it is left out.
    to: Option<DateTime<Utc>>,
    /// Of this partner only. Events for all partners are written down with how many deliveries they have, not with whose:
    /// of those the partner's deliveries count as promised, and one that lacks any leaves the ledger unbalanced.
    #[param(value_type = Option<String>, example = "acme")]
    owner_id: Option<OwnerId>,
}

/// Whether everything that was accepted is accounted for
///
/// Counts every row of the range, so its cost follows the range.
#[utoipa::path(
    get, path = "/v1/monitoring/audit", operation_id = "showLedger", tag = "Ledger",
    params(AuditQuery), security(("admin_key" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "Both sides of the ledger, counted in one snapshot.", body = schemas::LedgerReport),
        (status = "default", description = "A refusal, no such partner (404), or a source that cannot be read (503).", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(asked: Viewing<StrictQuery<AuditQuery>>, sources: web::Data<Sources>) -> ApiResult {
    let mut query = asked.input.into_inner();
    let owner = query.owner_id.take();
    let (from, to) = query.range(sources.now())?;
    match owner {
        None => Ok(fresh(operations::read_ledger(&sources, from, to).await?)),
        Some(owner) => {
            let report = operations::read_partner_ledger(&sources, owner, from, to).await?;
            Ok(fresh(report.ok_or_else(|| Problem::not_found("partner"))?))
        }
    }
}

impl AuditQuery {
    /// The range asked for, if it is one.
    fn range(self, now: DateTime<Utc>) -> Result<(DateTime<Utc>, DateTime<Utc>), Problem> {
        let to = self.to.unwrap_or(now);
        // The calendar of the parser is longer than that of sums: a `to` at its very beginning has no day before.
        let from = self.from.or_else(|| to.checked_sub_signed(DAY)).unwrap_or(to);
        if from < to {
            return Ok((from, to));
        }
        let detail = format!("`from` ({}) must be before `to` ({}).", from.to_rfc3339(), to.to_rfc3339());
        Err(Problem::new(Code::InvalidQuery).detail(detail).field("from"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_left_out_is_the_last_day() {
        let now = at("2026-03-02T12:00:00Z");
        let range = |from: Option<&str>, to: Option<&str>| {
            AuditQuery { from: from.map(at), to: to.map(at), owner_id: None }.range(now).map(|(from, to)| [from, to])
        };
        assert_eq!(range(None, None).unwrap(), [at("2026-03-01T12:00:00Z"), now]);
        let to = "2026-02-01T00:00:00Z";
        assert_eq!(range(None, Some(to)).unwrap(), [at("2026-01-31T00:00:00Z"), at(to)]);
        assert_eq!(range(Some(to), None).unwrap(), [at(to), now]);
    }

    #[test]
    fn a_range_that_is_none_is_refused() {
        for (from, to) in [(Some(at("2026-03-02T12:00:00Z")), None), (None, Some(DateTime::<Utc>::MIN_UTC))] {
            let problem = AuditQuery { from, to, owner_id: None }.range(at("2026-03-02T12:00:00Z")).unwrap_err();
            assert_eq!((problem.code, problem.field.as_deref()), (Code::InvalidQuery, Some("from")));
        }
    }
}
