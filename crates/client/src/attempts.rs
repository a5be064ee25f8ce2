//! Trying again: which server comes next, after which pause, and when to give up.
//!
//! Pure: the time and the dice are arguments. A request is sent again only when that is safe (it was not
//! sent, it changes nothing, or it carries an idempotency key) and may help (nobody refused it for good).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use url::Url;

use crate::error::ClientError;

/// The longest pause between two rounds over all servers.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// The servers of one region, and which of them to ask first.
#[derive(Debug)]
pub(crate) struct Servers {
    urls: Vec<Url>,
    preferred: AtomicUsize,
}

impl Servers {
    /// At least one.
    pub(crate) fn new(urls: Vec<Url>) -> Self {
        Servers {
            urls,
            preferred: AtomicUsize::new(0),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.urls.len()
    }

    /// The place of the server that answered last.
    pub(crate) fn preferred(&self) -> usize {
        self.preferred.load(Ordering::Relaxed) % self.urls.len()
    }

    pub(crate) fn url(&self, place: usize) -> &Url {
        &self.urls[place % self.urls.len()]
    }

    /// The server at a place, as people write it.
    pub(crate) fn name(&self, place: usize) -> &str {
        self.url(place).as_str().trim_end_matches('/')
    }

    /// The next request begins with another server, unless somebody has found one already.
    pub(crate) fn leave(&self, place: usize) {
        let next = (place + 1) % self.urls.len();
        let _ = self
            .preferred
            .compare_exchange(place, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// An address below the server at `place`, from one below another server of the region.
    pub(crate) fn place_at(&self, url: &Url, place: usize) -> Url {
        let (server, mut url) = (self.url(place), url.clone());
        // Both are plain HTTP addresses with a host: nothing of this can fail.
        let _ = url.set_host(server.host_str());
        let _ = url.set_port(server.port());
        url
    }
}

/// How long one request is tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempts {
    /// How often a lone server is asked, and at least how many rounds there are over several.
    pub(crate) rounds: u32,
    /// How long several servers are asked, round after round.
    pub(crate) lasting: Duration,
    /// The pause after the first round; it doubles from then on.
    pub(crate) pause: Duration,
    /// How many servers there are.
    pub(crate) servers: usize,
}

impl Attempts {
    /// The pause before the next attempt; `None` when there is to be none. `made` counts the attempts so far,
    /// `after` is the time since the first, `dice` is between 0 and 1.
    pub(crate) fn next(
        &self,
        error: &ClientError,
        is_repeatable: bool,
        made: u32,
        after: Duration,
        dice: f64,
    ) -> Option<Duration> {
        let others = self.servers > 1;
        let may_help = error.is_passing() || others && error.is_of_one_node();
        let is_safe = is_repeatable || error.is_unsent();
        if !may_help || !is_safe {
            return None;
        }
        let servers = u32::try_from(self.servers).unwrap_or(u32::MAX);
        let ends_round = made.is_multiple_of(servers);
        let pause = if ends_round {
            self.pause_after(made / servers, dice)
        } else {
            Duration::ZERO
        };
        let is_early = made < self.rounds.saturating_mul(servers);
        let has_time = others && after + pause < self.lasting;
        (is_early || has_time).then_some(pause)
    }

    /// Between half of the pause and all of it: callers that failed together do not come back together.
    fn pause_after(&self, rounds: u32, dice: f64) -> Duration {
        let doublings = rounds.saturating_sub(1).min(16);
        let pause = self.pause.saturating_mul(1 << doublings).min(PAUSE_MAX);
        pause.mul_f64(0.5 + dice.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use atoll_api::http::{Problem, Reason};

    use super::*;

    fn attempts(servers: usize) -> Attempts {
        Attempts {
            rounds: 3,
            lasting: Duration::from_secs(10),
            pause: Duration::from_millis(50),
            servers,
        }
    }

    fn refused(reason: Reason) -> ClientError {
        ClientError::Refused(Box::new(Problem::new(reason, "as it is")))
    }

    fn broken() -> ClientError {
        ClientError::Broken {
            server: "s".into(),
            cause: "c".into(),
        }
    }

    fn unreachable() -> ClientError {
        ClientError::Unreachable {
            server: "s".into(),
            cause: "c".into(),
        }
    }

    /// The pauses until a request is given up, when every attempt takes no time.
    fn pauses(attempts: Attempts, error: &ClientError, is_repeatable: bool) -> Vec<u128> {
        let (mut pauses, mut after) = (Vec::new(), Duration::ZERO);
        for made in 1..10_000 {
            match attempts.next(error, is_repeatable, made, after, 1.0) {
                None => return pauses,
                Some(pause) => {
                    after += pause;
                    pauses.push(pause.as_millis());
                }
            }
        }
        panic!("a request that is tried for ever");
    }

    #[test]
    fn a_lone_server_is_asked_so_often() {
        assert_eq!(pauses(attempts(1), &broken(), true), [50, 100]);
        assert_eq!(pauses(attempts(1), &unreachable(), false), [50, 100]);
        let never_again = Attempts {
            rounds: 1,
            ..attempts(1)
        };
        assert!(pauses(never_again, &broken(), true).is_empty());
    }

    #[test]
    fn several_servers_are_asked_in_turn_until_the_time_is_over() {
        let told = pauses(attempts(3), &refused(Reason::NoLeader), true);
        assert_eq!(told[..9], [0, 0, 50, 0, 0, 100, 0, 0, 200]);
        let total: u128 = told.iter().sum();
        assert!((9_000..10_000).contains(&total), "{total}");
    }

    /// What may stand is sent again only under a key; what was refused for good never.
    #[test]
    fn only_what_is_safe_and_may_help_is_sent_again() {
        for servers in [1, 3] {
            assert!(pauses(attempts(servers), &broken(), false).is_empty());
            for reason in Reason::ALL {
                let is_tried = !pauses(attempts(servers), &refused(*reason), true).is_empty();
                let passing = [
                    Reason::NoLeader,
                    Reason::Overloaded,
                    Reason::Draining,
                    Reason::Joining,
                    Reason::OutcomeUnknown,
                ];
                let of_one_node = servers > 1 && *reason == Reason::StorageFailed;
                let expected = passing.contains(reason) || of_one_node;
                assert_eq!(is_tried, expected, "{reason} of {servers}");
            }
        }
    }

    #[test]
    fn pauses_differ_and_stay_bounded() {
        let all = attempts(1);
        let pause = |rounds, dice| all.pause_after(rounds, dice).as_millis();
        assert_eq!((pause(1, 0.0), pause(1, 1.0)), (25, 50));
        assert_eq!((pause(40, 0.0), pause(40, 1.0)), (250, 500));
    }

    #[test]
    fn a_server_is_left_once_however_many_find_it_gone() {
        let urls = ["http://a:1", "http://[::1]:2", "http://c"];
        let servers = Servers::new(urls.iter().map(|url| url.parse().unwrap()).collect());
        servers.leave(0);
        servers.leave(0);
        assert_eq!(servers.preferred(), 1);
        let url = "http://a:1/v1/x%2Fy?limit=2".parse().unwrap();
        let moved = [0, 1, 2].map(|place| servers.place_at(&url, place).to_string());
        assert_eq!(
            moved,
            [
                "http://a:1/v1/x%2Fy?limit=2",
                "http://[::1]:2/v1/x%2Fy?limit=2",
                "http://c/v1/x%2Fy?limit=2"
            ]
        );
        servers.leave(1);
        servers.leave(2);
        assert_eq!(
            (servers.preferred(), servers.name(1)),
            (0, "http://[::1]:2")
        );
    }
}
