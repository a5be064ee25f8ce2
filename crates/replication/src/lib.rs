//! Decides conversations: what to send, what may be applied, when to relay and to ask.
