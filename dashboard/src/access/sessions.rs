//! Who is logged in: in memory alone, each under the digest of the random id that their browser's cookie has.
//!
//! A session ends by itself when it was not used for hours, and after days however it was used; when its user logs out;
//! and with the program. Their number is bounded: the one that was unused longest makes room.
//! Times are milliseconds of a clock that never goes back.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use queue_core::random;
use tokio_util::sync::CancellationToken;

use super::Role;
use super::secret::{Digest, digest, hex};

/// Longest time between two requests of a session, and its longest life.
const IDLE_MS: u64 = 8 * 3_600_000;
const LIFE_MS: u64 = 7 * 24 * 3_600_000;
/// Most sessions in all, and of one user.
const MOST: usize = 1_000;
const MOST_OF_ONE: usize = 20;

/// What names a session here; nobody can come in with it.
pub(crate) type Key = Digest;

#[derive(Debug)]
struct Session {
    name: String,
    role: Role,
    began_ms: u64,
    used_ms: u64,
    ended: CancellationToken,
}

impl Session {
    fn ends_at_ms(&self) -> u64 {
        (self.used_ms + IDLE_MS).min(self.began_ms + LIFE_MS)
    }
}

/// Everybody who is logged in.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<Key, Session>>);

impl Sessions {
    fn kept(&self) -> MutexGuard<'_, HashMap<Key, Session>> {
        // The map is whole between any two of its calls.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one and answers its id, which is told to the browser and kept nowhere.
    pub(super) fn begin(&self, name: &str, role: Role, now_ms: u64) -> String {
        let id = hex(&random::bytes::<32>());
        let mut kept = self.kept();
        kept.retain(|_, session| now_ms < session.ends_at_ms());
        for (of, most) in [(Some(name), MOST_OF_ONE), (None, MOST)] {
            let same = |session: &&Session| of.is_none_or(|name| session.name == name);
            if kept.values().filter(same).count() >= most {
                let oldest =
                    kept.iter().filter(|(_, session)| same(session)).min_by_key(|(_, session)| session.used_ms);
                if let Some(session) = oldest.map(|(key, _)| *key).and_then(|key| kept.remove(&key)) {
                    session.ended.cancel();
                }
            }
        }
        let session =
            Session { name: name.to_owned(), role, began_ms: now_ms, used_ms: now_ms, ended: CancellationToken::new() };
        kept.insert(digest(id.as_bytes()), session);
        id
    }

    /// Whose session has this id; it is used by that.
    pub(super) fn find(&self, id: &str, now_ms: u64) -> Option<(Key, String, Role)> {
        let key = digest(id.as_bytes());
        let mut kept = self.kept();
        let session = kept.get_mut(&key).filter(|session| now_ms < session.ends_at_ms())?;
        session.used_ms = now_ms;
        Some((key, session.name.clone(), session.role))
    }

    /// Ends one.
    pub(super) fn end(&self, key: &Key) {
        if let Some(session) = self.kept().remove(key) {
            session.ended.cancel();
        }
    }

    /// Until when one lives if it is not used again, and what tells that it was ended before; `None` if it is over.
    pub(super) fn life(&self, key: &Key, now_ms: u64) -> Option<(u64, CancellationToken)> {
        let kept = self.kept();
        let session = kept.get(key).filter(|session| now_ms < session.ends_at_ms())?;
        Some((session.ends_at_ms(), session.ended.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_unused_and_in_the_end_always() {
        let sessions = Sessions::default();
        let id = sessions.begin("ann", Role::Admin, 1_000);
        let found = |now_ms| sessions.find(&id, now_ms).map(|(_, name, role)| (name, role));
        assert_eq!(found(1_000 + IDLE_MS - 1), Some(("ann".to_owned(), Role::Admin)));
        assert_eq!(found(1_000 + 2 * IDLE_MS - 1), None);
        let id = sessions.begin("ann", Role::Admin, 0);
        let hours = (1..=LIFE_MS / 3_600_000 + 1).take_while(|hour| sessions.find(&id, hour * 3_600_000).is_some());
        assert_eq!(hours.count() as u64, LIFE_MS / 3_600_000 - 1);
    }

    #[test]
    fn an_ended_one_lets_nobody_in() {
        let sessions = Sessions::default();
        let id = sessions.begin("ann", Role::Viewer, 0);
        let (key, ..) = sessions.find(&id, 1).expect("begun");
        let (until, ended) = sessions.life(&key, 1).expect("begun");
        assert_eq!((until, ended.is_cancelled()), (1 + IDLE_MS, false));
        assert_eq!(sessions.find(&hex(&key), 1), None, "what is kept is no id");
        sessions.end(&key);
        assert!(ended.is_cancelled() && sessions.find(&id, 2).is_none() && sessions.life(&key, 2).is_none());
    }

    #[test]
    fn there_are_never_too_many() {
        let sessions = Sessions::default();
        let of_ann: Vec<_> = (0..=MOST_OF_ONE as u64).map(|at| sessions.begin("ann", Role::Admin, at)).collect();
        assert!(sessions.find(&of_ann[0], 100).is_none() && sessions.find(&of_ann[1], 100).is_some());
        for index in 0..MOST {
            sessions.begin(&format!("user-{index}"), Role::Viewer, 200 + index as u64);
        }
        assert_eq!(sessions.kept().len(), MOST);
        assert!(of_ann.iter().all(|id| sessions.find(id, 2_000).is_none()));
    }
}
