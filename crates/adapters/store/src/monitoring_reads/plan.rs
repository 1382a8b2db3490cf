//! What Postgres would do for a statement, for the tests that hold it to its indexes.

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel_async::methods::LoadQuery;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

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

/// The plan of a statement when reading a whole table is the last resort: as it is with full tables. A test's tables
/// are all but empty, so that by cost alone the planner would read them whole.
pub(crate) async fn plan<Q>(conn: &mut AsyncPgConnection, statement: Q) -> String
where
    Explain<Q>: LoadQuery<'static, AsyncPgConnection, String> + 'static,
{
    conn.batch_execute("SET enable_seqscan = off").await.unwrap();
    let lines: Vec<String> = Explain(statement).load(conn).await.unwrap();
    lines.join("\n")
}
