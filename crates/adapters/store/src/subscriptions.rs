//! Webhook subscriptions and their sealed secrets and key pairs.
//!
//! What a partner does goes through the functions that take its `OwnerId` first: another partner's subscription is not
//! there for them. The `…_any_owner` functions are for operators. Workers use [`load_for_delivery`] alone.
//!
//! A deleted subscription matches nothing and is in no list, but its row stays for its deliveries' sake. What waits for
//! it is cancelled by `deliveries`. After a commit the caller announces the subscription, as workers remember it for
//! seconds.

mod change;
mod create;
mod load_for_delivery;
mod read;
mod rotation;
mod row;
mod secrets;

pub use change::{
    delete, delete_any_owner, disable_any_owner, enable_any_owner, pause_any_owner, update, update_any_owner,
};
pub use create::create;
pub use load_for_delivery::{DeliveryTarget, LoadedTarget, load_for_delivery};
pub use read::{SubscriptionFilter, get, get_any_owner, list, list_any_owner};
pub use rotation::{RotationCount, count_rotations, rotation};
pub use secrets::{
    LivePublicKey, NewSealedKeyPair, NewSealedKeys, NewSealedSecret, SealedSecret, SecretRotated, give_key_pair,
    public_keys, rotate_secret, rotate_secret_any_owner,
};

#[cfg(test)]
mod tests;
