//! Asks: the one HTTP caller, sessions, retries, region links.
