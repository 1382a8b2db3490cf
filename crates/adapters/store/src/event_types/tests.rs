use serde_json::json;

use super::*;
use crate::testing::World;

#[tokio::test]
async fn the_catalogue_is_extended_and_changed() {
    let mut world = World::new().await;
    let conn = &mut world.connection;
    let named =
        |name: &str| CatalogueChange { name: name.to_owned(), description: None, schema: None, deprecated: None };
    let made = upsert(conn, named("ring.melted")).await.unwrap();
    assert_eq!(made.before, None);
    assert_eq!((made.after.schema.clone(), made.after.deprecated), (json!({}), false));
    let change =
        CatalogueChange { deprecated: Some(true), schema: Some(json!({"type": "object"})), ..named("ring.melted") };
    let changed = upsert(conn, change).await.unwrap();
    assert_eq!(changed.before, Some(made.after));
    assert_eq!((changed.after.schema, changed.after.deprecated), (json!({"type": "object"}), true));

    let names: Vec<_> = list(conn).await.unwrap().into_iter().map(|entry| entry.name).collect();
    assert!(
        names.is_sorted() && names.contains(&"ring.melted".to_owned()) && names.contains(&"webhook.test".to_owned())
    );
    let refused = upsert(conn, named("no spaces")).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
}
