//! What Postgres would do for a statement, for the tests that hold it to its indexes.

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel_async::methods::LoadQuery;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

/// `EXPLAIN` of a statement.
pub(crate) struct Explain<Q>(Q);

impl<Q> QueryId for Explain<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> Query for Explain<Q> {
    type SqlType = diesel::sql_types::Text;
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Explain<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        out.push_sql("EXPLAIN (COSTS OFF) ");
        self.0.walk_ast(out)
    }
}

/// The plan of a statement in a session as [`connect`](crate::connect) opens it: reading a whole table is the last resort, also of
/// a test's tables, which are all but empty.
pub(crate) async fn plan<Q>(conn: &mut AsyncPgConnection, statement: Q) -> String
where
    Explain<Q>: LoadQuery<'static, AsyncPgConnection, String> + 'static,
{
    let lines: Vec<String> = Explain(statement).load(conn).await.unwrap();
    lines.join("\n")
}
