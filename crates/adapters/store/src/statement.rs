//! Constant statements that every connection prepares once.
//!
//! Diesel's own builder marks updates, upserts and batch inserts as unsafe to cache, so each execution would cost a second
//! round trip and a second parse. A statement declared here has constant SQL and a static `QueryId`; diesel-async then
//! keeps it prepared for the life of the connection.
//!
//! The SQL is written with `$1 … $n` as in `psql`, in the order of the fields. A number may appear again after its first
//! appearance: the repetition is plain text to Diesel and a second use of the same parameter to Postgres.

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::AstPass;

/// Walks constant SQL from one first appearance of a parameter to the next.
pub(crate) struct Walk {
    rest: &'static str,
    next: usize,
}

impl Walk {
    pub(crate) const fn new(sql: &'static str) -> Self {
        Self { rest: sql, next: 1 }
    }

    /// Pushes the text before the next parameter, so that the caller can push the parameter itself.
    pub(crate) fn advance(&mut self, out: &mut AstPass<'_, '_, Pg>) -> QueryResult<()> {
        let marker = format!("${}", self.next);
        let at = first_whole(self.rest, &marker).ok_or_else(|| {
            diesel::result::Error::QueryBuilderError(format!("the statement does not mention {marker}").into())
        })?;
        out.push_sql(&self.rest[..at]);
        self.rest = &self.rest[at + marker.len()..];
        self.next += 1;
        Ok(())
    }

    /// Pushes what follows the last parameter.
    pub(crate) fn finish(self, out: &mut AstPass<'_, '_, Pg>) {
        out.push_sql(self.rest);
    }
}

/// Where `marker` stands and no further digit follows: `$1` is not found in `$10`.
fn first_whole(sql: &str, marker: &str) -> Option<usize> {
    sql.match_indices(marker)
        .map(|(at, _)| at)
        .find(|at| !sql[at + marker.len()..].starts_with(|next: char| next.is_ascii_digit()))
}

/// Declares a statement: a struct whose fields are its parameters, with the SQL types of parameters and columns.
///
/// ```ignore
/// statement! {
///     /// Renews leases.
///     struct Renew<'a> {
///         ids: &'a [Uuid] => Array<sql_types::Uuid>,
///     } -> (sql_types::Uuid, sql_types::Timestamptz) = "UPDATE … unnest($1) … RETURNING …";
/// }
/// ```
macro_rules! statement {
    ($(#[$doc:meta])* $vis:vis struct $name:ident <$life:lifetime> $($rest:tt)*) => {
        $crate::statement::statement! { @emit $(#[$doc])* [$vis] [$name] [<$life>] [$name<'static>] $($rest)* }
    };
    ($(#[$doc:meta])* $vis:vis struct $name:ident $($rest:tt)*) => {
        $crate::statement::statement! { @emit $(#[$doc])* [$vis] [$name] [] [$name] $($rest)* }
    };
    (
        @emit $(#[$doc:meta])* [$vis:vis] [$name:ident] [$($life:tt)*] [$id:ty]
        { $($field:ident : $rust:ty => $sql_type:ty),* $(,)? } -> $row:ty = $sql:expr;
    ) => {
        $(#[$doc])*
        $vis struct $name $($life)* {
            $($vis $field: $rust,)*
        }

        impl $($life)* $name $($life)* {
            /// The text as it stands, for tests that explain it.
            #[allow(dead_code, reason = "only tests explain statements")]
            pub(crate) const SQL: &'static str = $sql;
        }

        impl $($life)* diesel::query_builder::QueryId for $name $($life)* {
            type QueryId = $id;
            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl $($life)* diesel::query_builder::Query for $name $($life)* {
            type SqlType = $row;
        }

        impl $($life)* diesel::query_builder::QueryFragment<diesel::pg::Pg> for $name $($life)* {
            fn walk_ast<'b>(
                &'b self,
                mut out: diesel::query_builder::AstPass<'_, 'b, diesel::pg::Pg>,
            ) -> diesel::QueryResult<()> {
                #[allow(unused_mut, reason = "a statement may have no parameters")]
                let mut walk = $crate::statement::Walk::new(Self::SQL);
                $(
                    walk.advance(&mut out)?;
                    out.push_bind_param::<$sql_type, _>(&self.$field)?;
                )*
                walk.finish(&mut out);
                Ok(())
            }
        }
    };
}
pub(crate) use statement;

/// A statement that is planned with the values of its parameters each time, at the cost of a round trip and the planning.
pub(crate) struct PlannedEachTime<Q>(pub(crate) Q);

impl<Q> diesel::query_builder::QueryId for PlannedEachTime<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: diesel::query_builder::Query> diesel::query_builder::Query for PlannedEachTime<Q> {
    type SqlType = Q::SqlType;
}

impl<Q: diesel::query_builder::QueryFragment<Pg>> diesel::query_builder::QueryFragment<Pg> for PlannedEachTime<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        self.0.walk_ast(out)
    }
}

/// For statements: what deliveries are held for, whatever that may be. One step of a partial index for each reason.
///
/// The table is named once: what planning costs is each mention of it times its partitions.
macro_rules! held_reasons {
    () => {
        "WITH RECURSIVE held AS (
             SELECT '' AS reason
             UNION ALL
             SELECT (SELECT min(w.held_reason) FROM webhook_deliveries AS w
                     WHERE w.held_reason IS NOT NULL AND w.held_reason > held.reason)
             FROM held WHERE held.reason IS NOT NULL
         ) SELECT reason FROM held WHERE reason <> ''"
    };
}
pub(crate) use held_reasons;

/// For statements: the newest deliveries of `a.owner` from `a.first` until before `a.after`, by whatever `a` is beside this (LATERAL).
///
/// Whole index keys are compared, with values the planner does not see: it has no other index for that. By `owner_id = …` it may
/// walk everybody's newest deliveries in the hope of meeting this owner's soon.
macro_rules! newest_of_owner {
    () => {
        "SELECT * FROM webhook_deliveries AS c \
         WHERE (c.owner_id, c.delivery_id) >= (a.owner, a.first) AND (c.owner_id, c.delivery_id) < (a.owner, a.after) \
         ORDER BY c.owner_id DESC, c.delivery_id DESC"
    };
}
pub(crate) use newest_of_owner;

#[cfg(test)]
mod tests {
    use diesel::sql_types::{BigInt, Text};

    use super::*;

    statement! {
        struct Example { first: i64 => BigInt, second: &'static str => Text } -> (BigInt, Text) =
            "SELECT $1 + 1, $2 || $2 WHERE $1 > 10";
    }

    #[test]
    fn the_text_is_what_psql_would_take() {
        let example = Example { first: 1, second: "x" };
        let text = diesel::debug_query::<Pg, _>(&example).to_string();
        assert!(text.starts_with(Example::SQL), "{text}");
        assert!(text.ends_with(r#"-- binds: [1, "x"]"#), "{text}");
    }

    #[test]
    fn ten_is_not_one() {
        assert_eq!(first_whole("$10 $1", "$1"), Some(4));
        assert_eq!(first_whole("$10", "$1"), None);
    }
}
