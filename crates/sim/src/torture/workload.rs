//! What a client does next: decided by its dice and by nothing else.

use std::collections::BTreeMap;

use super::collections::{CARTS, GROUPS, KEPT, OWN, PAGES, SHARED, VOTES};
use super::history::{Action, Change, Name};
use crate::dice::Dice;

const OWN_KEYS: u64 = 40;
const SHARED_KEYS: u64 = 24;
const FIELDS: u64 = 6;
const GROUP_KEYS: usize = 3;
/// Documents, counters and sets are left behind after so long, so that none grows without bound.
const EPOCH_MS: u64 = 20_000;
const KEYS_PER_EPOCH: u64 = 3;

/// What a client does next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Write(Vec<Change>),
    /// Read, and write only if nothing has changed since.
    WriteIfUnchanged(Change),
    /// Write only where nothing is.
    WriteIfAbsent(Change),
    /// One key, at least as new as the session.
    Read(Name),
    /// One key, as its region has it now.
    ReadCurrent(Name),
    /// Several, from one snapshot.
    ReadTogether(Vec<Name>),
    /// On to another region, with the session.
    Move,
}

/// One client's choices.
#[derive(Debug)]
pub(crate) struct Workload {
    client: usize,
    dice: Dice,
    written: u64,
    /// Elements that it added lately, and to which set.
    added: Vec<(Name, String)>,
}

impl Workload {
    pub(crate) fn new(seed: u64, client: usize) -> Workload {
        Workload {
            client,
            dice: Dice::new(seed ^ (client as u64 + 1).wrapping_mul(0x9E37_79B9)),
            written: 0,
            added: Vec::new(),
        }
    }

    /// The next step, so long after the beginning.
    pub(crate) fn next(&mut self, now_ms: u64) -> Step {
        match self.dice.below(100) {
            0..22 => self.put(OWN),
            22..32 => self.put(SHARED),
            32..38 => self.put(KEPT),
            38..40 => self.delete(OWN),
            40..44 => self.delete(SHARED),
            44..49 => self.if_unchanged(),
            49..52 => self.if_absent(),
            52..60 => self.patch(now_ms),
            60..61 => self.delete_page(now_ms),
            61..68 => self.increment(now_ms),
            68..73 => self.add(now_ms),
            73..77 => self.remove(),
            77..81 => self.batch(now_ms),
            81..84 => Step::ReadTogether(self.group()),
            84..95 => Step::Read(self.any(now_ms)),
            95..99 => Step::ReadCurrent(self.any(now_ms)),
            _ => Step::Move,
        }
    }

    /// Another region than this one, of so many.
    pub(crate) fn other_region(&mut self, here: usize, regions: usize) -> usize {
        match regions {
            0 | 1 => here,
            _ => (here + 1 + self.dice.index(regions - 1)) % regions,
        }
    }

    pub(crate) fn node(&mut self, nodes: usize) -> usize {
        self.dice.index(nodes)
    }

    /// A text that no other write says.
    fn text(&mut self) -> String {
        self.written += 1;
        format!("c{}-{}", self.client, self.written)
    }

    fn key(&mut self, collection: &str) -> Name {
        let key = match collection {
            OWN => format!("c{}-{}", self.client, self.dice.below(OWN_KEYS)),
            _ => format!("{}", self.dice.below(SHARED_KEYS)),
        };
        name(collection, key)
    }

    /// One that is left behind after a while.
    fn passing(&mut self, collection: &str, now_ms: u64) -> Name {
        let number = self.dice.below(KEYS_PER_EPOCH);
        name(collection, format!("{}-{number}", now_ms / EPOCH_MS))
    }

    fn put(&mut self, collection: &str) -> Step {
        let change = self.change_to(collection);
        Step::Write(vec![change])
    }

    fn change_to(&mut self, collection: &str) -> Change {
        let name = self.key(collection);
        let action = Action::Put(self.text());
        Change { name, action }
    }

    fn delete(&mut self, collection: &str) -> Step {
        let name = self.key(collection);
        write(name, Action::Delete)
    }

    fn if_unchanged(&mut self) -> Step {
        Step::WriteIfUnchanged(self.change_to(SHARED))
    }

    fn if_absent(&mut self) -> Step {
        Step::WriteIfAbsent(self.change_to(SHARED))
    }

    fn patch(&mut self, now_ms: u64) -> Step {
        let mut fields = BTreeMap::new();
        for _ in 0..=self.dice.below(2) {
            let field = format!("f{}", self.dice.below(FIELDS));
            let text = (!self.dice.one_in(8)).then(|| self.text());
            fields.insert(field, text);
        }
        let name = self.passing(PAGES, now_ms);
        write(name, Action::Patch(fields))
    }

    fn delete_page(&mut self, now_ms: u64) -> Step {
        let name = self.passing(PAGES, now_ms);
        write(name, Action::Delete)
    }

    fn increment(&mut self, now_ms: u64) -> Step {
        let name = self.passing(VOTES, now_ms);
        let by = i64::try_from(self.dice.between(1, 9)).unwrap_or(1);
        write(name, Action::Increment(by))
    }

    fn add(&mut self, now_ms: u64) -> Step {
        let name = self.passing(CARTS, now_ms);
        let element = self.text();
        self.added.push((name.clone(), element.clone()));
        write(name, Action::Add(element))
    }

    fn remove(&mut self) -> Step {
        if self.added.is_empty() {
            return self.put(OWN);
        }
        let at = self.dice.index(self.added.len());
        let (name, element) = self.added.swap_remove(at);
        // Sometimes it is added again, and removed again later.
        if self.dice.one_in(4) {
            self.added.push((name.clone(), element.clone()));
            return write(name, Action::Add(element));
        }
        write(name, Action::Remove(element))
    }

    /// A group, all with one text, and a counter.
    fn batch(&mut self, now_ms: u64) -> Step {
        let text = self.text();
        let put = |name| Change {
            name,
            action: Action::Put(text.clone()),
        };
        let mut changes: Vec<Change> = self.group().into_iter().map(put).collect();
        if self.dice.one_in(2) {
            changes.push(Change {
                name: self.passing(VOTES, now_ms),
                action: Action::Increment(1),
            });
        }
        Step::Write(changes)
    }

    fn group(&mut self) -> Vec<Name> {
        let group = self.dice.below(4);
        let keys = (0..GROUP_KEYS).map(|key| name(GROUPS, format!("{group}-{key}")));
        keys.collect()
    }

    fn any(&mut self, now_ms: u64) -> Name {
        match self.dice.below(7) {
            0 | 1 => self.key(OWN),
            2 => self.key(SHARED),
            3 => self.key(KEPT),
            4 => self.passing(PAGES, now_ms),
            5 => self.passing(VOTES, now_ms),
            _ => self.passing(CARTS, now_ms),
        }
    }
}

fn name(collection: &str, key: String) -> Name {
    Name {
        collection: collection.to_owned(),
        key,
    }
}

fn write(name: Name, action: Action) -> Step {
    Step::Write(vec![Change { name, action }])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn steps(seed: u64, client: usize) -> Vec<Step> {
        let mut workload = Workload::new(seed, client);
        (0..2000).map(|i| workload.next(i * 10)).collect()
    }

    #[test]
    fn a_seed_and_a_client_always_mean_the_same_steps() {
        assert_eq!(steps(1, 2), steps(1, 2));
        assert_ne!(steps(1, 2), steps(2, 2));
        assert_ne!(steps(1, 2), steps(1, 3));
    }

    #[test]
    fn no_two_writes_say_the_same_and_groups_are_written_whole() {
        let mut said = BTreeSet::new();
        for client in 0..3 {
            for step in steps(1, client) {
                let Step::Write(changes) = step else { continue };
                let texts: BTreeSet<String> = changes
                    .iter()
                    .filter_map(|change| match &change.action {
                        Action::Put(text) => Some(text.clone()),
                        _ => None,
                    })
                    .collect();
                assert!(texts.len() <= 1, "{changes:?}");
                for text in texts {
                    assert!(said.insert(text.clone()), "{text}");
                }
                let of_group = changes.iter().filter(|c| c.name.collection == GROUPS);
                assert!([0, GROUP_KEYS].contains(&of_group.count()));
            }
        }
    }
}
