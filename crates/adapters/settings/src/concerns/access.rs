//! Sealing keys, and how operators get in.

use crate::reader::Reader;
use crate::secret::Secret;
use crate::table::{ADMIN_JWT_SECRET, MONITORING_OPEN, SECRETS_KEYS};

/// The shortest JWT secret, bytes: HS256 wants a key as long as its digest (RFC 7518, 3.2).
const JWT_SECRET_MIN_BYTES: usize = 32;

/// How operators get in, besides admin keys, which always work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorAccess {
    /// The secret JWTs are signed with (HS256); `None` refuses JWTs.
    pub jwt_secret: Option<Secret>,
}

impl OperatorAccess {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let jwt_secret = reader.secret(&ADMIN_JWT_SECRET);
        if let Some(secret) = &jwt_secret
            && secret.expose().len() < JWT_SECRET_MIN_BYTES
        {
            reader.refuse(
                &ADMIN_JWT_SECRET,
                format!("it has fewer than {JWT_SECRET_MIN_BYTES} bytes, which can be guessed"),
                "set it to the output of `openssl rand -hex 32`, or unset it",
            );
        }
        Self { jwt_secret }
    }
}

/// Is monitoring open to everyone who can reach it?
pub(crate) fn monitoring_open(reader: &mut Reader<'_>) -> Option<bool> {
    let open = reader.switch(&MONITORING_OPEN)?;
    if open {
        reader.refuse_in_production(&MONITORING_OPEN, "it shows monitoring to everyone");
    }
    Some(open)
}

/// The keys that seal webhook secrets. Only their outline is checked here; the key ring opens them.
pub(crate) fn secrets_keys(reader: &mut Reader<'_>) -> Option<Secret> {
    reader.parsed_by(&SECRETS_KEYS, |text| {
        let well_formed = text
            .split(',')
            .all(|entry| entry.trim().split_once(':').is_some_and(|(id, key)| !id.is_empty() && !key.is_empty()));
        if well_formed { Ok(Secret::new(text)) } else { Err("is not a list of id:key pairs") }
    })
}
