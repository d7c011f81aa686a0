//! Invalidations that are not known to have arrived: all of them from the moment they are asked for.
//!
//! As long as one is here, this instance does not read that id from the shared cache. There is a limit to how many are
//! kept; beyond it they are forgotten one by one and owed as a whole, by a new generation.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::{DocumentId, Version};

/// What is still to be delivered.
#[derive(Debug)]
pub(super) struct Pending {
    limit: usize,
    owed: Mutex<Owed>,
}

#[derive(Debug)]
struct Owed {
    /// The greatest version of each.
    ids: HashMap<DocumentId, Version>,
    renewal: Renewal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renewal {
    No,
    /// A new generation is to begin. Every write until then is covered by it.
    Due,
    /// It is beginning, nobody knows exactly when: writes from now on must be kept again.
    Underway,
}

impl Pending {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, owed: Mutex::new(Owed { ids: HashMap::new(), renewal: Renewal::No }) }
    }

    /// Takes one in. True if that was one too many.
    pub(super) fn hold(&self, id: &DocumentId, version: Version) -> bool {
        let mut owed = self.lock();
        if owed.renewal == Renewal::Due {
            return false;
        }
        if let Some(held) = owed.ids.get_mut(id) {
            *held = version.max(*held);
            return false;
        }
        if owed.ids.len() < self.limit {
            owed.ids.insert(id.clone(), version);
            return false;
        }
        owed.ids = HashMap::new();
        owed.renewal = Renewal::Due;
        true
    }

    /// Whether the shared cache may hold an id's past, as far as this instance knows.
    pub(super) fn holds(&self, id: &DocumentId) -> bool {
        let owed = self.lock();
        owed.renewal != Renewal::No || owed.ids.contains_key(id)
    }

    /// Some to deliver.
    pub(super) fn batch(&self, most: usize) -> Vec<(DocumentId, Version)> {
        self.lock().ids.iter().take(most).map(|(id, version)| (id.clone(), *version)).collect()
    }

    /// Lets go of what was delivered, unless there is a later write by now.
    pub(super) fn delivered(&self, batch: &[(DocumentId, Version)]) {
        let ids = &mut self.lock().ids;
        for (id, version) in batch {
            if ids.get(id).is_some_and(|held| held <= version) {
                ids.remove(id);
            }
        }
    }

    /// Whether a new generation is to begin; if so, it is to be begun now, and [`Pending::renewed`] told the outcome.
    pub(super) fn begin_renewal(&self) -> bool {
        let mut owed = self.lock();
        let due = owed.renewal == Renewal::Due;
        if due {
            owed.renewal = Renewal::Underway;
        }
        due
    }

    /// What became of a new generation.
    pub(super) fn renewed(&self, done: bool) {
        let mut owed = self.lock();
        if owed.renewal == Renewal::Underway {
            owed.renewal = if done { Renewal::No } else { Renewal::Due };
        }
    }

    /// How many ids; a generation that is due counts as one.
    pub(super) fn len(&self) -> usize {
        let owed = self.lock();
        owed.ids.len() + usize::from(owed.renewal != Renewal::No)
    }

    fn lock(&self) -> MutexGuard<'_, Owed> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> DocumentId {
        DocumentId::parse(text).unwrap()
    }

    fn version(number: u64) -> Version {
        number.to_string().parse().unwrap()
    }

    #[test]
    fn a_delivery_does_not_let_go_of_a_later_write() {
        let pending = Pending::new(9);
        pending.hold(&id("a"), version(2));
        pending.hold(&id("a"), version(1));
        let batch = pending.batch(9);
        assert_eq!(batch, [(id("a"), version(2))]);
        pending.hold(&id("a"), version(3));
        pending.delivered(&batch);
        assert!(pending.holds(&id("a")) && !pending.holds(&id("b")));
        pending.delivered(&pending.batch(9));
        assert_eq!((pending.holds(&id("a")), pending.len()), (false, 0));
    }

    #[test]
    fn too_many_become_one_renewal() {
        let pending = Pending::new(2);
        assert!(!pending.hold(&id("a"), version(1)) && !pending.hold(&id("b"), version(1)));
        assert!(!pending.hold(&id("b"), version(2)), "known already");
        assert!(pending.hold(&id("c"), version(1)));
        assert!(!pending.hold(&id("d"), version(1)), "covered");
        assert_eq!((pending.len(), pending.batch(9).len()), (1, 0));
        assert!(pending.holds(&id("anything")));

        assert!(pending.begin_renewal() && !pending.begin_renewal());
        pending.hold(&id("e"), version(1));
        pending.renewed(false);
        assert!(pending.begin_renewal(), "it failed and is due again");
        pending.renewed(true);
        assert_eq!(pending.batch(9), [(id("e"), version(1))], "written while it was underway");
        assert!(pending.holds(&id("e")) && !pending.holds(&id("a")));
    }

    #[test]
    fn an_overflow_while_a_renewal_is_underway_asks_for_another() {
        let pending = Pending::new(0);
        assert!(pending.hold(&id("a"), version(1)));
        assert!(pending.begin_renewal());
        assert!(pending.hold(&id("b"), version(1)));
        pending.renewed(true);
        assert!(pending.begin_renewal());
    }
}
