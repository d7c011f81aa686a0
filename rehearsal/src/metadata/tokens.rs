//! The tokens of IMDSv2.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// The longest life of a token, in seconds: six hours.
pub(super) const LONGEST: u32 = 21_600;
/// More, and the oldest go first: nobody asks for so many.
const TOKENS: usize = 10_000;

/// Who was given which, and until when it is good.
#[derive(Debug, Default)]
pub(super) struct Tokens(HashMap<String, (Ipv4Addr, Instant)>);

impl Tokens {
    /// A new token.
    pub(super) fn issue(&mut self, holder: Ipv4Addr, life: Duration, now: Instant) -> String {
        self.0.retain(|_, (_, until)| *until > now);
        if self.0.len() >= TOKENS
            && let Some(first) = self.0.iter().min_by_key(|(_, (_, until))| *until).map(|(token, _)| token.clone())
        {
            self.0.remove(&first);
        }
        let token = format!("{}==", uuid::Uuid::new_v4().simple());
        self.0.insert(token.clone(), (holder, now + life));
        token
    }

    /// Whether a token is this instance's, and still good.
    pub(super) fn admits(&self, token: &str, holder: Ipv4Addr, now: Instant) -> bool {
        self.0.get(token).is_some_and(|(given, until)| *given == holder && now < *until)
    }

    /// Forgets the tokens of an instance.
    pub(super) fn revoke(&mut self, holder: Ipv4Addr) {
        self.0.retain(|_, (given, _)| *given != holder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_never_too_many() {
        let (mut tokens, now) = (Tokens::default(), Instant::now());
        let first = tokens.issue(Ipv4Addr::LOCALHOST, Duration::from_secs(1), now);
        for _ in 0..TOKENS {
            tokens.issue(Ipv4Addr::LOCALHOST, Duration::from_secs(2), now);
        }
        assert_eq!(tokens.0.len(), TOKENS);
        assert!(!tokens.admits(&first, Ipv4Addr::LOCALHOST, now));
        tokens.revoke(Ipv4Addr::LOCALHOST);
        assert!(tokens.0.is_empty());
    }
}
