//! The `Idempotency-Key` header.

use http::HeaderMap;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::store::IdempotencyKey;

/// The longest key, in characters.
const MAX_LENGTH: usize = 255;

/// The request's key, bound to its body. A key in double quotes, as the header's draft standard has it, is the same key
/// as one without.
pub fn idempotency_key(headers: &HeaderMap, body: &[u8]) -> Result<Option<IdempotencyKey>, Error> {
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let key = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    if values.next().is_some() || key.is_empty() || key.len() > MAX_LENGTH || !key.bytes().all(allowed) {
        let fault =
            format!("send it once, with 1 to {MAX_LENGTH} visible ASCII characters, no quotes or backslashes inside");
        return Err(Error::BadHeader { name: "Idempotency-Key", fault });
    }
    let fingerprint = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some(IdempotencyKey { key: key.to_owned(), fingerprint }))
}
