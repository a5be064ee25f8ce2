//! The CAs of a store, and how one takes the place of another while everybody goes on talking.
//!
//! ```text
//!  signing ──announce──▶ signing + next ──promote──▶ signing + former ──retire──▶ signing
//!               (every node is to         (every node trusts     (every node shows a
//!                trust it, too)            next)                  certificate of signing)
//! ```
//!
//! Nodes say themselves what they trust and show. One here that does not answer is waited for until its machine
//! has surely brought it the files; what another cluster trusts is for people to exchange, and waited for.

use std::collections::{BTreeMap, BTreeSet};

use super::authority::{Authority, CA_SECONDS, Pair};
use super::reading;

/// How long a node that does not answer is waited for: longer than a kubelet takes to bring it other files.
const PATIENCE_SECONDS: i64 = 600;
/// A CA is replaced when this much of its time is left.
const CA_SECONDS_LEFT_MIN: i64 = CA_SECONDS / 5;

/// The CAs of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cas {
    /// The one that signs.
    pub(crate) signing: Pair,
    /// The one that will.
    pub(crate) next: Option<Pair>,
    /// Those that did, in PEM: what they signed may be in use.
    pub(crate) former: String,
    /// What the newest of them was made for: `made/REVISION` or `secret/NAME`.
    pub(crate) origin: String,
    /// When this became so, in seconds since 1970.
    pub(crate) since: i64,
}

/// The CA that is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) origin: String,
    /// The user's own.
    pub(crate) own: Option<Pair>,
}

/// The next step of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Another CA is to be trusted by all.
    Announce,
    /// It signs from now on.
    Promote,
    /// Nothing of the former ones is in use.
    Retire,
}

/// What nodes say of their certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// Nodes of this cluster, by pod; `None`: no answer.
    pub(crate) here: BTreeMap<String, Option<Shown>>,
    /// Regions of other clusters.
    pub(crate) elsewhere: BTreeMap<String, Option<Shown>>,
}

/// What one of them says, in fingerprints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) certificate: String,
    pub(crate) trusts: Vec<String>,
}

impl Cas {
    /// A store's first.
    pub(crate) fn first(signing: Pair, origin: String, now: i64) -> Self {
        let (next, former, since) = (None, String::new(), now);
        Cas {
            signing,
            next,
            former,
            origin,
            since,
        }
    }

    /// All that are trusted, in PEM, each once.
    pub(crate) fn bundle(&self) -> String {
        let next = self.next.as_ref().map(ca);
        let all = [
            ca(&self.signing),
            next.unwrap_or_default(),
            self.former.clone(),
        ];
        once(&all.concat())
    }

    /// Whether a change is under way.
    pub(crate) fn is_changing(&self) -> bool {
        self.next.is_some() || !self.former.is_empty()
    }

    /// The next step. `own` are the fingerprints of the certificates that this store's CA signed last.
    pub(crate) fn step(
        &self,
        wanted: &Wanted,
        heard: &Heard,
        own: &BTreeSet<String>,
        now: i64,
    ) -> Option<Step> {
        if self.is_outdated(wanted, now) {
            return Some(Step::Announce);
        }
        if self.next.is_some() {
            return self
                .distrusting(heard, now)
                .is_empty()
                .then_some(Step::Promote);
        }
        let is_over = !self.former.is_empty() && self.in_use(heard, own, now).is_empty();
        is_over.then_some(Step::Retire)
    }

    fn is_outdated(&self, wanted: &Wanted, now: i64) -> bool {
        let newest = self.next.as_ref().unwrap_or(&self.signing);
        match &wanted.own {
            Some(own) => print(own) != print(newest),
            None => {
                let end = newest.first().map_or(0, |ca| ca.not_after);
                self.origin != wanted.origin || end - now < CA_SECONDS_LEFT_MIN
            }
        }
    }

    /// Who does not trust the newest CA yet.
    pub(crate) fn distrusting(&self, heard: &Heard, now: i64) -> Vec<String> {
        let newest = print(self.next.as_ref().unwrap_or(&self.signing));
        let lacks = |shown: &Shown| !shown.trusts.contains(&newest);
        let mut all = self.waiting(&heard.here, now, lacks);
        let elsewhere = heard.elsewhere.iter();
        let elsewhere = elsewhere.filter(|(_, shown)| shown.as_ref().is_none_or(lacks));
        all.extend(elsewhere.map(|(region, _)| format!("region {region} of another cluster")));
        all
    }

    /// Who shows a certificate that is not of `own`.
    pub(crate) fn in_use(&self, heard: &Heard, own: &BTreeSet<String>, now: i64) -> Vec<String> {
        self.waiting(&heard.here, now, |shown| !own.contains(&shown.certificate))
    }

    fn waiting(
        &self,
        nodes: &BTreeMap<String, Option<Shown>>,
        now: i64,
        lacks: impl Fn(&Shown) -> bool,
    ) -> Vec<String> {
        let is_over = now - self.since > PATIENCE_SECONDS;
        let nodes = nodes.iter().filter(|(_, shown)| match shown {
            Some(shown) => lacks(shown),
            None => !is_over,
        });
        nodes.map(|(pod, _)| pod.clone()).collect()
    }

    /// After a step. `make` makes a CA.
    ///
    /// # Errors
    /// What `make` says, and that a CA cannot be used.
    pub(crate) fn after(
        self,
        step: Step,
        wanted: &Wanted,
        now: i64,
        make: impl FnOnce() -> Result<Pair, String>,
    ) -> Result<Self, String> {
        let since = now;
        match step {
            Step::Announce => {
                let own = wanted.own.clone();
                let next = own.map_or_else(make, Ok)?;
                Authority::load(&next, now)?;
                let origin = wanted.origin.clone();
                let next = (print(&next) != print(&self.signing)).then_some(next);
                Ok(Cas {
                    next,
                    origin,
                    since,
                    ..self
                })
            }
            Step::Promote => {
                let Some(next) = self.next else {
                    return Ok(self);
                };
                let former = once(&[ca(&self.signing), self.former].concat());
                Ok(Cas {
                    signing: next,
                    next: None,
                    former,
                    since,
                    ..self
                })
            }
            Step::Retire => Ok(Cas {
                former: String::new(),
                since,
                ..self
            }),
        }
    }
}

/// A CA's own certificate in PEM, without those above it: what they sign besides is no concern of the store.
fn ca(pair: &Pair) -> String {
    pair.first().map(|ca| ca.pem).unwrap_or_default()
}

/// A CA's fingerprint.
pub(crate) fn print(pair: &Pair) -> String {
    pair.first().map(|ca| ca.fingerprint).unwrap_or_default()
}

/// The certificates of a text, each once, in their order.
pub(crate) fn once(text: &str) -> String {
    let mut seen = BTreeSet::new();
    let all = reading::certificates(text).into_iter();
    let first = all.filter(|certificate| seen.insert(certificate.fingerprint.clone()));
    first.map(|certificate| certificate.pem).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::super::authority::make;
    use super::super::authority::tests::{STORE, now};
    use super::*;

    fn ca() -> Pair {
        make("shop", STORE, now()).unwrap()
    }

    fn made(revision: u32) -> Wanted {
        Wanted {
            origin: format!("made/{revision}"),
            own: None,
        }
    }

    fn own(pair: &Pair) -> Wanted {
        Wanted {
            origin: "secret/mine".to_owned(),
            own: Some(pair.clone()),
        }
    }

    fn shown(certificate: &str, trusts: &[&Pair]) -> Option<Shown> {
        let trusts = trusts.iter().map(|ca| print(ca)).collect();
        Some(Shown {
            certificate: certificate.to_owned(),
            trusts,
        })
    }

    fn heard(nodes: &[(&str, Option<Shown>)]) -> Heard {
        let here = nodes
            .iter()
            .map(|(pod, shown)| ((*pod).to_owned(), shown.clone()));
        Heard {
            here: here.collect(),
            ..Heard::default()
        }
    }

    fn of(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn after(cas: Cas, step: Step, wanted: &Wanted) -> Cas {
        cas.after(step, wanted, now(), || Ok(ca())).unwrap()
    }

    /// At no moment does anybody show a certificate that somebody does not trust.
    ///
    /// Caught: a promotion as soon as one node trusts the next CA, and a retirement that does not ask who still
    /// shows a certificate of the former one.
    #[test]
    fn a_ca_is_trusted_before_it_signs_and_until_nothing_of_it_is_in_use() {
        let begun = Cas::first(ca(), "made/0".to_owned(), now());
        let old = begun.signing.clone();
        let none = Heard::default();
        assert_eq!(begun.step(&made(0), &none, &of(&[]), now()), None);
        let wanted = made(1);
        assert_eq!(
            begun.step(&wanted, &none, &of(&[]), now()),
            Some(Step::Announce)
        );

        let cas = after(begun, Step::Announce, &wanted);
        let new = cas.next.clone().unwrap();
        assert_eq!(cas.signing, old);
        assert_eq!(reading::certificates(&cas.bundle()).len(), 2);
        let half = heard(&[
            ("a", shown("a1", &[&old, &new])),
            ("b", shown("b1", &[&old])),
        ]);
        assert_eq!(cas.step(&wanted, &half, &of(&[]), now()), None);
        assert_eq!(cas.distrusting(&half, now()), ["b"]);
        let all = heard(&[
            ("a", shown("a1", &[&old, &new])),
            ("b", shown("b1", &[&old, &new])),
        ]);
        assert_eq!(
            cas.step(&wanted, &all, &of(&[]), now()),
            Some(Step::Promote)
        );

        let cas = after(cas, Step::Promote, &wanted);
        assert_eq!(cas.signing, new);
        assert_eq!(reading::certificates(&cas.bundle()).len(), 2);
        let leaves = of(&["a2", "b2"]);
        let half = heard(&[
            ("a", shown("a2", &[&old, &new])),
            ("b", shown("b1", &[&old, &new])),
        ]);
        assert_eq!(cas.step(&wanted, &half, &leaves, now()), None);
        let all = heard(&[
            ("a", shown("a2", &[&old, &new])),
            ("b", shown("b2", &[&old, &new])),
        ]);
        assert_eq!(cas.step(&wanted, &all, &leaves, now()), Some(Step::Retire));

        let cas = after(cas, Step::Retire, &wanted);
        assert_eq!(cas.bundle(), once(&new.certificate));
        assert!(!cas.is_changing());
        assert_eq!(cas.step(&wanted, &all, &leaves, now()), None);
    }

    #[test]
    fn a_node_that_is_silent_is_waited_for_and_not_for_ever() {
        let wanted = made(1);
        let cas = after(
            Cas::first(ca(), "made/0".to_owned(), now()),
            Step::Announce,
            &wanted,
        );
        let silent = heard(&[("a", None)]);
        assert_eq!(cas.step(&wanted, &silent, &of(&[]), now()), None);
        let later = now() + PATIENCE_SECONDS + 60;
        assert_eq!(
            cas.step(&wanted, &silent, &of(&[]), later),
            Some(Step::Promote)
        );
        // What people exchange between clusters takes as long as they take.
        let abroad = Heard {
            elsewhere: [("us".to_owned(), None)].into(),
            ..Heard::default()
        };
        assert_eq!(cas.step(&wanted, &abroad, &of(&[]), later), None);
        assert_eq!(
            cas.distrusting(&abroad, later),
            ["region us of another cluster"]
        );
    }

    #[test]
    fn a_ca_of_ones_own_takes_over_when_it_is_named_and_when_it_changes() {
        let (mine, renewed) = (ca(), ca());
        let cas = Cas::first(ca(), "made/0".to_owned(), now());
        let none = Heard::default();
        assert_eq!(
            cas.step(&own(&mine), &none, &of(&[]), now()),
            Some(Step::Announce)
        );
        let cas = after(cas, Step::Announce, &own(&mine));
        assert_eq!(cas.next.as_ref(), Some(&mine));
        // Changed again before anybody used it.
        assert_eq!(
            cas.step(&own(&renewed), &none, &of(&[]), now()),
            Some(Step::Announce)
        );
        let cas = after(cas, Step::Announce, &own(&renewed));
        let cas = after(cas, Step::Promote, &own(&renewed));
        assert_eq!(cas.signing, renewed);
        assert_eq!(
            cas.step(&own(&renewed), &none, &of(&[]), now()),
            Some(Step::Retire)
        );
    }

    #[test]
    fn a_ca_is_replaced_long_before_it_ends() {
        let cas = Cas::first(ca(), "made/0".to_owned(), now());
        let late = now() + CA_SECONDS - CA_SECONDS_LEFT_MIN + 60;
        let step = |at| cas.step(&made(0), &Heard::default(), &of(&[]), at);
        assert_eq!((step(late - 120), step(late)), (None, Some(Step::Announce)));
    }
}
