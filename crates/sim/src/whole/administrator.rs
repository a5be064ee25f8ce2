//! An administrator: asks nodes for changes of the store, one after the other, while everything else goes on.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use atoll_api::http::{Problem, Reason};
use atoll_client::{Connection, Network};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;

use super::history::Shared;
use crate::dice::Dice;

const PATIENCE: Duration = Duration::from_secs(4);
const ATTEMPTS: u32 = 12;

/// A change that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Order {
    /// A topology is declared; with its place in the harness's book.
    Topology { declaration: Value },
    /// A region's node, by the number of its machine, is removed.
    RemoveNode { machine: usize, name: String },
    /// A region leaves.
    Drain { name: String },
    /// A dead region is removed by force.
    RemoveRegion { name: String },
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Done {
    pub(super) order: Order,
    /// The last status; absent when nobody answered.
    pub(super) status: Option<u16>,
}

/// Between the harness and the administrator.
#[derive(Default)]
pub(super) struct Desk {
    pub(super) orders: RefCell<VecDeque<(Order, Vec<String>)>>,
    pub(super) done: RefCell<Vec<Done>>,
    pub(super) is_busy: Cell<bool>,
}

impl Desk {
    /// Orders something of the nodes at `servers`.
    pub(super) fn order(&self, order: Order, servers: Vec<String>) {
        self.orders.borrow_mut().push_back((order, servers));
    }

    pub(super) fn is_idle(&self) -> bool {
        self.orders.borrow().is_empty() && !self.is_busy.get() && self.done.borrow().is_empty()
    }
}

/// The administrator.
pub(super) struct Administrator {
    pub(super) desk: Rc<Desk>,
    pub(super) network: Network,
    pub(super) dice: Dice,
    pub(super) history: Shared,
    pub(super) stop: Rc<Cell<bool>>,
}

impl Administrator {
    /// Works until told to stop and nothing is left to do.
    pub(super) async fn run(mut self) {
        loop {
            let next = self.desk.orders.borrow_mut().pop_front();
            let Some((order, servers)) = next else {
                if self.stop.get() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            self.desk.is_busy.set(true);
            let status = self.carry_out(&order, &servers).await;
            self.desk.done.borrow_mut().push(Done { order, status });
            self.desk.is_busy.set(false);
        }
    }

    /// Asks until it is done or refused for good.
    async fn carry_out(&mut self, order: &Order, servers: &[String]) -> Option<u16> {
        let (mut last, mut lost) = (None, None);
        for _ in 0..ATTEMPTS {
            let server = self.dice.pick(servers).clone();
            let (status, text) = match self.ask(&server, order, lost).await {
                Ok((status, text)) => (Some(status), text),
                Err(error) => (None, error),
            };
            let problem: Option<Problem> = serde_json::from_str(&text).ok();
            lost = problem.as_ref().and_then(|problem| problem.lost).or(lost);
            let is_refused = problem.and_then(|p| p.reason()) == Some(Reason::WrongState);
            let shown: String = text.chars().take(300).collect();
            let line = format!("administrator: {order:?} -> {status:?} {shown}");
            self.history.borrow_mut().trace.say(&line);
            last = status.or(last);
            if matches!(status, Some(200 | 404)) || is_refused {
                break;
            }
            tokio::time::sleep(self.dice.ms(200, 800)).await;
        }
        last
    }

    async fn ask(
        &self,
        server: &str,
        order: &Order,
        lost: Option<u64>,
    ) -> Result<(u16, String), String> {
        let (method, path, body) = match order {
            Order::Topology { declaration } => {
                let body = Bytes::from(declaration.to_string());
                (Method::PUT, "/v1/topology".to_owned(), body)
            }
            Order::RemoveNode { name, .. } => {
                (Method::DELETE, format!("/v1/nodes/{name}"), Bytes::new())
            }
            Order::Drain { name } => {
                let path = format!("/v1/regions/{name}/drain");
                (Method::POST, path, Bytes::new())
            }
            Order::RemoveRegion { name } => {
                let lost = lost.map(|lost| format!("&lost={lost}"));
                let lost = lost.unwrap_or_default();
                let path = format!("/v1/regions/{name}?force=true{lost}");
                (Method::DELETE, path, Bytes::new())
            }
        };
        let opened = Connection::open_in(&self.network, server, PATIENCE).await;
        let mut connection = opened.map_err(|e| e.to_string())?;
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, json)]);
        let answer = connection.send_with(&method, &path, headers, body).await;
        let answer = answer.map_err(|e| e.to_string())?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        Ok((answer.status, text))
    }
}
