use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One thing a key may do: `<verb>:<thing>`, of the form `[a-z]+:[a-z0-9_.-]+`.
///
/// The platform knows the ones below. Others are taken as well, since a route table may name scopes of its product's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(Cow<'static, str>);

/// Why a text, or a list of texts, is no scope or set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// It is not of a scope's form.
    #[error("a scope has the form verb:thing, in lower case, with at most {} characters", Scope::MAX_LENGTH)]
    Form,
    /// There are too many in one set.
    #[error("a key has at most {} scopes", ScopeSet::MAX_SCOPES)]
    TooMany,
}

impl Scope {
    /// The most characters a scope may have.
    pub const MAX_LENGTH: usize = 64;

    /// Publish events to one's own subscriptions.
    pub const WRITE_EVENTS: Self = Self::known("write:events");
    /// See one's subscriptions and deliveries.
    pub const READ_WEBHOOKS: Self = Self::known("read:webhooks");
    /// Change one's subscriptions, and resend deliveries.
    pub const WRITE_WEBHOOKS: Self = Self::known("write:webhooks");
    /// Publish events to any partner, or all: for the product's own service key.
    pub const PUBLISH_ANY: Self = Self::known("publish:any");

    /// Every scope the platform knows: its own, and those of the product's routes.
    pub const KNOWN: [Self; 12] = [
        Self::WRITE_EVENTS,
        Self::READ_WEBHOOKS,
        Self::WRITE_WEBHOOKS,
        Self::PUBLISH_ANY,
        Self::known("read:rings"),
        Self::known("write:rings"),
        Self::known("read:drafts"),
        Self::known("write:drafts"),
        Self::known("read:ledger"),
        Self::known("write:ledger"),
        Self::known("read:enforcement"),
        Self::known("write:enforcement"),
    ];

    const fn known(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_well_formed(text: &str) -> bool {
        let thing = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
        text.len() <= Self::MAX_LENGTH
            && text.split_once(':').is_some_and(|(verb, rest)| {
                !verb.is_empty()
                    && verb.bytes().all(|byte| byte.is_ascii_lowercase())
                    && !rest.is_empty()
                    && rest.bytes().all(thing)
            })
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        if let Some(known) = Self::KNOWN.into_iter().find(|known| known.as_str() == text) {
            return Ok(known);
        }
        if Self::is_well_formed(text) { Ok(Self(Cow::Owned(text.to_owned()))) } else { Err(ScopeError::Form) }
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<Self, ScopeError> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.0.into_owned()
    }
}

impl AsRef<str> for Scope {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// What a key may do, in alphabetical order and each thing once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Scope>", into = "Vec<Scope>")]
pub struct ScopeSet(BTreeSet<Scope>);

impl ScopeSet {
    /// The most scopes a key may have.
    pub const MAX_SCOPES: usize = 64;

    /// What a new key may do when nothing is said: every known scope but publishing to other partners.
    #[must_use]
    pub fn all_partner() -> Self {
        Self(Scope::KNOWN.into_iter().filter(|scope| *scope != Scope::PUBLISH_ANY).collect())
    }

    /// Reads scopes as rows and requests hold them.
    ///
    /// # Errors
    /// On the first text that is no scope, and when there are more than [`ScopeSet::MAX_SCOPES`].
    pub fn parse<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, ScopeError> {
        let scopes = texts.into_iter().map(|text| text.as_ref().parse()).collect::<Result<BTreeSet<Scope>, _>>()?;
        Self::bounded(scopes)
    }

    /// Whether the scope is in it.
    #[must_use]
    pub fn contains(&self, scope: &Scope) -> bool {
        self.0.contains(scope)
    }

    /// The scopes in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// Whether a key with it may do nothing that needs a scope.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scopes as rows hold them.
    #[must_use]
    pub fn to_texts(&self) -> Vec<String> {
        self.0.iter().map(Scope::to_string).collect()
    }

    fn bounded(scopes: BTreeSet<Scope>) -> Result<Self, ScopeError> {
        if scopes.len() <= Self::MAX_SCOPES { Ok(Self(scopes)) } else { Err(ScopeError::TooMany) }
    }
}

impl TryFrom<Vec<Scope>> for ScopeSet {
    type Error = ScopeError;

    fn try_from(scopes: Vec<Scope>) -> Result<Self, ScopeError> {
        Self::bounded(scopes.into_iter().collect())
    }
}

impl From<ScopeSet> for Vec<Scope> {
    fn from(set: ScopeSet) -> Self {
        set.0.into_iter().collect()
    }
}

/// The scopes with a space between them, as a header holds them.
impl fmt::Display for ScopeSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, scope) in self.iter().enumerate() {
            let space = if position == 0 { "" } else { " " };
            write!(formatter, "{space}{scope}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_new_key_gets_everything_but_other_partners() {
        let set = ScopeSet::all_partner();
        assert!(!set.contains(&Scope::PUBLISH_ANY));
        assert_eq!(set.iter().count(), Scope::KNOWN.len() - 1);
        assert_eq!(
            set.to_string(),
            "read:drafts read:enforcement read:ledger read:rings read:webhooks write:drafts write:enforcement \
             write:events write:ledger write:rings write:webhooks"
        );
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        let long = format!("read:{}", "x".repeat(60));
        for text in
            ["", ":", "read", "read:", ":rings", "Read:rings", "read:Rings", "r2:x", "read:a b", "a:b:c", "*", &long]
        {
            assert_eq!(text.parse::<Scope>(), Err(ScopeError::Form), "{text:?}");
        }
    }

    #[test]
    fn sets_are_sorted_bounded_and_without_repetition() {
        let set: ScopeSet = serde_json::from_str(r#"["write:rings","read:rings","write:rings"]"#).unwrap();
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["read:rings","write:rings"]"#);
        assert_eq!(ScopeSet::parse(set.to_texts()), Ok(set));
        assert_eq!(ScopeSet::parse((0..65).map(|number| format!("read:x{number}"))), Err(ScopeError::TooMany));
        assert!(serde_json::from_str::<ScopeSet>(r#"["read:rings","everything"]"#).is_err());
    }

    proptest! {
        #[test]
        fn well_formed_scopes_survive_their_text(text in "[a-z]{1,10}:[a-z0-9_.-]{1,50}") {
            let scope: Scope = text.parse().unwrap();
            prop_assert_eq!(scope.to_string(), text);
        }
    }
}
