//! One simulated machine: a disk that outlives crashes, and a node that lives on it for a while.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use atoll_api::http::NodeRole;
use atoll_client::Network;
use atoll_client::otlp::Outlet;
use atoll_node::surroundings::Work;
use atoll_node::{Node, NodeConfig, Surroundings};
use atoll_store::engine::{Engine, MemoryEngine};
use tokio::sync::Notify;

use super::disk::Plugged;
use super::network::Card;
use super::power::Power;

/// What a machine does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Its node runs, or is starting.
    Up,
    /// It was killed.
    Down,
    /// Its node has stopped in order.
    Stopped,
    /// Its region is not yet one of the store's.
    Waiting,
    /// It was removed for good.
    Gone,
}

/// A machine.
pub(super) struct Machine {
    /// Its node's name, and its own in the network.
    pub(super) name: String,
    pub(super) region: usize,
    config: RefCell<NodeConfig>,
    disk: RefCell<Arc<MemoryEngine>>,
    power: RefCell<Power>,
    node: RefCell<Option<Node>>,
    /// Tells the node that lives now to stop. Each has its own: what one was told is nothing to the next.
    stop: RefCell<Rc<Notify>>,
    state: Cell<State>,
    /// How often its node was started.
    life: Cell<u64>,
    /// Says that it syncs, and does not: a fault put in by hand.
    lies: bool,
    /// Why its node gave up by itself, if it did.
    gave_up: RefCell<Option<String>>,
}

impl Machine {
    pub(super) fn new(region: usize, config: NodeConfig, lies: bool) -> Rc<Machine> {
        Rc::new(Machine {
            name: config.node_name(),
            region,
            config: RefCell::new(config),
            disk: RefCell::default(),
            power: RefCell::new(Power::on()),
            node: RefCell::default(),
            stop: RefCell::default(),
            state: Cell::new(State::Stopped),
            life: Cell::new(0),
            lies,
            gave_up: RefCell::default(),
        })
    }

    /// What runs on the machine from when it is switched on until its node has stopped.
    pub(super) async fn live(self: Rc<Machine>) -> turmoil::Result {
        if matches!(self.state(), State::Waiting | State::Gone) {
            return Ok(());
        }
        let power = Power::on();
        *self.power.borrow_mut() = power.clone();
        let stop = Rc::new(Notify::new());
        *self.stop.borrow_mut() = Rc::clone(&stop);
        self.state.set(State::Up);
        self.life.set(self.life.get() + 1);
        let card = Arc::new(Card(power.clone()));
        let engine = Plugged {
            engine: Arc::clone(&self.disk.borrow()),
            power: power.clone(),
            lies: self.lies,
        };
        let surroundings = Surroundings {
            network: Network::Other(card.clone()),
            listen: Some(card),
            engine: Some(Arc::new(engine)),
            wall_ms,
            work: Work::InLine { sync_after },
            logs: Outlet::default(),
        };
        let config = self.config.borrow().clone();
        let running = match Box::pin(Node::start_in(config, surroundings)).await {
            Ok(running) => running,
            Err(error) => {
                self.ended(&power, Some(error.to_string()));
                return Ok(());
            }
        };
        *self.node.borrow_mut() = Some(running.node().clone());
        let why = tokio::select! {
            biased;
            () = stop.notified() => None,
            why = running.failed() => Some(why),
        };
        if why.is_none() {
            running.stop().await;
        }
        self.ended(&power, why);
        Ok(())
    }

    fn ended(&self, power: &Power, why: Option<String>) {
        *self.node.borrow_mut() = None;
        if power.is_off() {
            return; // it is being killed: what it says does not count
        }
        power.cut();
        self.state.set(State::Stopped);
        *self.gave_up.borrow_mut() = why;
    }

    pub(super) fn state(&self) -> State {
        self.state.get()
    }

    /// How often its node was started.
    pub(super) fn life(&self) -> u64 {
        self.life.get()
    }

    pub(super) fn is_up(&self) -> bool {
        self.state.get() == State::Up
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.state.get() == State::Waiting
    }

    pub(super) fn is_gone(&self) -> bool {
        self.state.get() == State::Gone
    }

    /// Its region joins later.
    pub(super) fn wait(&self) {
        self.state.set(State::Waiting);
    }

    /// Its region may join now.
    pub(super) fn admit(&self) {
        self.state.set(State::Stopped);
    }

    pub(super) fn leave(&self) {
        *self.node.borrow_mut() = None;
        self.state.set(State::Gone);
    }

    /// Whether its power went at a write, and it is to be killed now.
    pub(super) fn is_dying(&self) -> bool {
        self.is_up() && self.power.borrow().is_off()
    }

    /// Why its node gave up by itself, once.
    pub(super) fn gave_up(&self) -> Option<String> {
        self.gave_up.borrow_mut().take()
    }

    pub(super) fn cut_power_after(&self, writes: u64) {
        self.power.borrow().cut_after(writes);
    }

    pub(super) fn cut_power(&self) {
        self.power.borrow().cut();
    }

    /// Asks the node to stop in order.
    pub(super) fn stop(&self) {
        self.stop.borrow().notify_one();
    }

    /// How many of the last appends are not synced.
    pub(super) fn unsynced(&self) -> usize {
        self.disk.borrow().unsynced()
    }

    /// After the machine's runtime was dropped: what a restart finds, without the last `torn` appends as far as
    /// they were not synced.
    pub(super) fn killed(&self, torn: usize) {
        *self.node.borrow_mut() = None;
        self.state.set(State::Down);
        let left = self.disk.borrow().crash(torn);
        *self.disk.borrow_mut() = Arc::new(left);
    }

    /// Puts an empty disk in.
    pub(super) fn lose_disk(&self) {
        *self.disk.borrow_mut() = Arc::default();
    }

    /// What a crash now would leave at worst.
    pub(super) fn durable(&self) -> MemoryEngine {
        self.disk.borrow().crash(usize::MAX)
    }

    /// What it holds.
    pub(super) fn disk(&self) -> Arc<dyn Engine> {
        self.disk.borrow().clone()
    }

    pub(super) fn node(&self) -> Option<Node> {
        self.node.borrow().clone()
    }

    /// Whether it takes itself for its region's leader.
    pub(super) fn leads(&self) -> bool {
        let Some(node) = self.node() else {
            return false;
        };
        let leads = |status: &atoll_api::http::NodeStatus| {
            status.role == NodeRole::Leader && status.name == self.name
        };
        node.nodes().iter().any(leads)
    }
}

fn wall_ms() -> u64 {
    let since = turmoil::since_epoch().unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A disk's sync takes up to 3 ms.
fn sync_after() -> Duration {
    Duration::from_micros(rand::random_range(0..3000))
}
