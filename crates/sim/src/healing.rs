//! Which links there are: as the real healer of each region wants, and as the topology in its log says.

use std::time::Duration;

use atoll_core::layout::{Layout, LayoutRegion, Role as LayoutRole};
use atoll_core::{Dot, RegionName};
use atoll_replication::delivery::LinkId;
use atoll_replication::healing::{Healer, Pull, Role};
use atoll_replication::message::Carries;
use atoll_replication::topology::Topology;
use atoll_store::{Catalog, Command};

use crate::events::{End, Event};
use crate::invariants::Violation;
use crate::invariants::always_a_way::{self, Ground};
use crate::links::Link;
use crate::mischief::Mischief;
use crate::node::Asked;
use crate::topology;
use crate::world::World;

/// What decides for one region which links to have.
pub(crate) struct Healing {
    pub(crate) healer: Healer,
    /// The topology that it was configured with.
    configured: Topology,
    /// The entry whose topology it goes by; `None`: by the configuration.
    agreed: Option<Dot>,
}

impl Healing {
    pub(crate) fn new(
        me: &RegionName,
        configured: Topology,
        failover_after: Duration,
        seed: u64,
        now: Duration,
    ) -> Self {
        Healing {
            healer: Healer::new(me.clone(), configured.clone(), failover_after, seed, now),
            configured,
            agreed: None,
        }
    }

    /// The log's topology, once it has one that knows this region; the configuration's until then.
    fn look_up(&mut self, me: &RegionName, catalog: &Catalog) {
        let agreed = catalog.layout.as_ref();
        let mine = agreed.filter(|agreed| agreed.layout.region(me).is_some());
        let dot = mine.map(|agreed| agreed.dot);
        if dot == self.agreed {
            return;
        }
        self.agreed = dot;
        let declared = mine.and_then(|agreed| Topology::try_from(&agreed.layout).ok());
        self.healer
            .declare(declared.unwrap_or_else(|| self.configured.clone()));
    }
}

impl World {
    /// Has the links of a region come and go as its healer wants, and tells the others whom it hears.
    pub(crate) fn supervise(&mut self, place: usize) {
        let now = self.now_at(place);
        let here = &mut self.places[place];
        let Some(node) = &mut here.node else {
            return;
        };
        node.healing.look_up(&here.region, node.region.catalog());
        let rows = node.knowledge.hearing();
        let mut pulls = node.healing.healer.decide(&rows, now.elapsed);
        if let Some(row) = node.healing.healer.beat(&rows, now) {
            node.knowledge.learn_hearing([&row]);
        }
        if self.does(Mischief::NeverStandIn) {
            pulls.retain(|pull| pull.role == Role::Declared);
        }
        if self.does(Mischief::DropAtOnce) {
            pulls.retain(|pull| !matches!(pull.role, Role::Kept { .. }));
        }
        for link in 0..self.links.len() {
            let Link { from, to, .. } = self.links[link];
            let is_wanted = |pull: &Pull| pull.from == self.places[from].region;
            let is_gone = self.places[from].has_left;
            if to == place && (is_gone || !pulls.iter().any(is_wanted)) {
                self.drop_link(link);
            }
        }
        for pull in pulls {
            if let Some(from) = self.place_named(&pull.from) {
                self.have_link(from, place, pull);
            }
        }
    }

    fn have_link(&mut self, from: usize, to: usize, pull: Pull) {
        let known = self.links.iter().position(|l| (l.from, l.to) == (from, to));
        let link = known.unwrap_or_else(|| {
            self.links.push(Link::new(from, to, self.dice.draw()));
            self.links.len() - 1
        });
        let stands_in = |pull: &Pull| matches!(pull.role, Role::StandsIn { .. });
        let one = &mut self.links[link];
        let is_new_helper = stands_in(&pull) && !one.wanted.as_ref().is_some_and(stands_in);
        let carries = pull.carries;
        let before = one.wanted.replace(pull).map(|pull| pull.carries);
        match before {
            None => {
                one.wants += 1;
                let wants = one.wants;
                self.time.after(Duration::ZERO, Event::Dial(link, wants));
            }
            Some(before) if before != carries => self.carry(link, carries),
            Some(_) => {}
        }
        if is_new_helper {
            self.report.stand_ins += 1;
            self.trace(|_| format!("r{from}:r{to} stands in"));
        }
    }

    /// A link is not wanted any more.
    pub(crate) fn drop_link(&mut self, link: usize) {
        let one = &mut self.links[link];
        if one.wanted.take().is_none() {
            return;
        }
        let (from, to, connection) = (one.from, one.to, one.connection);
        self.trace(|_| format!("r{from}:r{to} is not wanted any more"));
        if let Some(connection) = connection {
            self.cut(connection, false);
            self.lost(connection, End::Target);
        }
    }

    /// A connection that was agreed on is to carry something else.
    fn carry(&mut self, link: usize, carries: Carries) {
        let Link { to, connection, .. } = self.links[link];
        let welcomed = connection.filter(|&c| self.is_welcome(c));
        if let (Some(connection), Some(node)) = (welcomed, &mut self.places[to].node) {
            node.inbox.carry(LinkId(connection as u64), carries);
        }
    }

    /// Somebody declares another topology, in one region: the others hear of it by their links.
    pub(crate) fn relink(&mut self, place: usize) {
        let now = self.timestamp(place);
        let Some(node) = &self.places[place].node else {
            return;
        };
        let agreed = node.region.catalog().layout.as_ref();
        let revision = agreed.map_or(0, |agreed| agreed.layout.revision) + 1;
        let present = node.region.catalog().regions.present();
        let present = present.map(|m| m.region.clone());
        let mut regions: Vec<RegionName> = Vec::new();
        // A region that came back may be there twice, where its first life's end is not known yet.
        for name in present.chain(self.names_there()) {
            if !regions.contains(&name) {
                regions.push(name);
            }
        }
        let topology = topology::draw(&regions, &mut self.dice);
        self.trace(|_| format!("r{place} is told another topology: {:?}", topology.shape()));
        let region = |name| LayoutRegion {
            name,
            role: LayoutRole::Leader,
            endpoints: Vec::new(),
        };
        let layout = Layout {
            revision,
            topology: topology.shape().clone(),
            regions: regions.into_iter().map(region).collect(),
        };
        self.ask(place, Asked::Command(Command::Layout { now, layout }));
    }

    /// The region of that name, in its latest life.
    pub(crate) fn place_named(&self, name: &RegionName) -> Option<usize> {
        self.places.iter().rposition(|place| place.region == *name)
    }

    /// Something changed in who reaches whom: ways are found again from now on.
    pub(crate) fn disturb(&mut self) {
        self.ways_from = self.time.now() + self.schedule.way_within();
    }

    /// Looks whether there is a way, if nothing changed for long enough.
    pub(crate) fn look_for_ways(&mut self) -> Result<(), Violation> {
        let every = self.schedule.failover_after / 2;
        self.time.after(every, Event::Look);
        if self.is_in_flux() {
            self.disturb();
        }
        if self.time.now() < self.ways_from {
            return Ok(());
        }
        self.check_ways()
    }

    pub(crate) fn check_ways(&self) -> Result<(), Violation> {
        let ground = self.ground();
        always_a_way::check(&ground).or_else(|violation| self.found(violation))
    }

    /// Who could pull from whom now, and who does.
    pub(crate) fn ground(&self) -> Ground {
        let live = |place: usize| self.places[place].serves();
        let all = 0..self.places.len();
        let pairs = all.clone().flat_map(|a| all.clone().map(move |b| (a, b)));
        let may_pull = |&(from, to): &(usize, usize)| {
            from != to && live(from) && live(to) && self.reach.is_open(to, from)
        };
        let pulls = self.links.iter().filter_map(|link| {
            let connection = link.connection.filter(|&c| self.is_welcome(c))?;
            let is_open = may_pull(&(link.from, link.to)) && !self.connections[connection].is_cut;
            let carries = link.wanted.as_ref().map(|pull| pull.carries);
            is_open.then_some((link.from, link.to, carries?))
        });
        Ground {
            live: all.clone().filter(|&place| live(place)).collect(),
            possible: pairs.filter(may_pull).collect(),
            pulls: pulls.collect(),
        }
    }

    /// Whether every link that was declared stands and no other, everywhere.
    pub(crate) fn is_as_declared(&self) -> bool {
        let nodes = self.places.iter().filter_map(|place| place.node.as_ref());
        let is_declared = |link: &Link| {
            let wanted = link.wanted.as_ref();
            wanted.is_none_or(|pull| pull.role == Role::Declared)
        };
        nodes.into_iter().all(|n| n.healing.healer.is_settled())
            && self.links.iter().all(is_declared)
    }

    /// Whether everything that a region has is in every region that can hear of it now.
    pub(crate) fn all_that_can_have_it_have_it(&self) -> bool {
        let ground = self.ground();
        let applied = |place: usize| self.places[place].order.applied();
        ground.live.iter().all(|&from| {
            let reached = ground.could_reach(from);
            reached
                .into_iter()
                .all(|to| applied(to).covers_all(applied(from)))
        })
    }
}
