//! Writes that are sent again: a client that gave some a name of their own sends them again when it did not
//! hear what became of them, to the same region or to another one, and sometimes for no reason.

use atoll_store::Request;

use crate::dice::Dice;
use crate::world::World;

/// Who asked for a write, and which of its operations that was: it may have gone on meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) client: usize,
    pub(crate) number: u64,
}

impl World {
    /// A name for a client's request, or none.
    pub(crate) fn name_sometimes(&mut self, client: usize, request: &mut Request) {
        if self.dice.one_in(3) {
            let key = format!("client-{client}/{}", self.changes);
            request.idempotency = Some(key.parse().expect("visible ASCII"));
        }
    }

    /// A client does not learn what became of its write: one with a name may be sent again.
    pub(crate) fn unknown(&mut self, client: usize, request: Request) {
        if request.idempotency.is_some() && !self.dice.one_in(4) {
            self.trace(|_| format!("client {client} will ask again"));
            self.clients[client].again = Some(request);
            if self.dice.one_in(2) {
                self.clients[client].place = self.any_place();
            }
        }
        self.done(client);
    }
}

/// Whether an answer is lost on its way to the client.
pub(crate) fn loses_answer(request: &Request, dice: &mut Dice) -> bool {
    request.idempotency.is_some() && dice.one_in(5)
}
