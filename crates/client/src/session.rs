//! The session of a client: all that its answers covered, whatever order they came in.

use std::sync::{Mutex, PoisonError};

use atoll_core::token::{self, InvalidToken, TokenKind};
use atoll_core::{StoreId, VersionVector};

/// What a client has seen of one store. Answers to concurrent requests may come in any order, so their
/// sessions are merged and never replaced.
#[derive(Debug, Default)]
pub struct Session {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
enum Seen {
    #[default]
    Nothing,
    Vector(StoreId, VersionVector),
    /// A token of a newer version: passed on as it came.
    Opaque(String),
}

impl Session {
    /// Takes in the session of an answer.
    pub fn note(&self, text: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match (read(text), &mut *seen) {
            (Some((store, vector)), Seen::Vector(known, merged)) if store == *known => {
                merged.merge(&vector);
            }
            (Some((store, vector)), _) => *seen = Seen::Vector(store, vector),
            (None, _) => *seen = Seen::Opaque(text.to_owned()),
        }
    }

    /// The session to send along; absent before the first answer.
    #[must_use]
    pub fn token(&self) -> Option<String> {
        match &*self.seen.lock().unwrap_or_else(PoisonError::into_inner) {
            Seen::Nothing => None,
            Seen::Vector(store, vector) => Some(token::write(TokenKind::Session, *store, vector)),
            Seen::Opaque(text) => Some(text.clone()),
        }
    }
}

/// A client does not know its store's id beforehand: the token tells.
fn read(text: &str) -> Option<(StoreId, VersionVector)> {
    let guess = StoreId(0);
    match token::read(TokenKind::Session, guess, text) {
        Ok(vector) => Some((guess, vector)),
        Err(InvalidToken::ForeignStore { theirs, .. }) => {
            let vector = token::read(TokenKind::Session, theirs, text).ok()?;
            Some((theirs, vector))
        }
        Err(InvalidToken::Damaged | InvalidToken::UnknownVersion(_) | InvalidToken::WrongKind) => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use atoll_core::ReplicaId;

    use super::*;

    fn token_of(store: u64, vector: &[(u64, u64)]) -> String {
        let vector = vector.iter().map(|(id, seq)| (ReplicaId(*id), *seq));
        token::write(TokenKind::Session, StoreId(store), &vector.collect())
    }

    #[test]
    fn answers_that_overtake_each_other_lose_nothing() {
        let session = Session::default();
        session.note(&token_of(9, &[(1, 5), (2, 1)]));
        session.note(&token_of(9, &[(1, 4), (2, 2)]));
        assert_eq!(session.token(), Some(token_of(9, &[(1, 5), (2, 2)])));
    }

    #[test]
    fn another_store_starts_anew() {
        let session = Session::default();
        assert_eq!(session.token(), None);
        session.note(&token_of(9, &[(1, 5)]));
        session.note(&token_of(8, &[(2, 1)]));
        assert_eq!(session.token(), Some(token_of(8, &[(2, 1)])));
    }

    #[test]
    fn a_token_that_is_not_understood_is_passed_on() {
        let session = Session::default();
        session.note("from-the-future");
        assert_eq!(session.token().as_deref(), Some("from-the-future"));
    }
}
