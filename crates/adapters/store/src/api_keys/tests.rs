//! Keys against a real database: their life, their look-up, their rotation.

mod life;
mod look_up;
mod rotation;

use onering_ids::{KeyId, OwnerId};
use onering_keys::{ScopeSet, Tier, TokenDigest};
use serde_json::json;

use super::*;
use crate::testing::World;

/// A free key of `acme`.
fn new_key(world: &World) -> NewKey {
    NewKey {
        key_id: world.clock.fresh_id(),
        owner_id: "acme".parse().unwrap(),
        name: "production".to_owned(),
        scopes: ScopeSet::all_partner(),
        tier: Tier::Free,
        rate_limit_override: None,
        burst_per_second: None,
        canary: false,
        ip_allowlist: Vec::new(),
        expires_at: None,
        metadata: json!({}),
        created_by: "op".to_owned(),
    }
}

fn new_secret(world: &World) -> NewSecret {
    NewSecret {
        secret_id: world.clock.fresh_id(),
        digest: TokenDigest::from_bytes(world.clock.entropy32()),
        hint: "osk_abcd".to_owned(),
    }
}

async fn made(world: &mut World, key: &NewKey) -> (ApiKey, TokenDigest) {
    let secret = new_secret(world);
    (create(&mut world.connection, key, &secret).await.unwrap(), secret.digest)
}

/// What the gateway gets for one digest.
async fn found(world: &mut World, digest: TokenDigest) -> Option<onering_keys::KeyRecord> {
    let mut found = find_by_digests(&mut world.connection, &[digest]).await.unwrap();
    found.pop().map(|found| found.record.unwrap())
}
