//! How a command fails: what happened, what to do, and the exit code.

use std::fmt;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use atoll_api::http::Reason;
use atoll_client::{ClientError, WrongScheme};
use miette::{Diagnostic, MietteHandlerOpts};

/// A command's failure. Exit code 1: it could not be done; 2: it was asked for wrongly.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    help: Option<String>,
    code: u8,
}

/// Lines are wrapped for people only: programs look for words in them.
pub(crate) fn init() {
    let is_watched = std::io::stderr().is_terminal();
    // Whoever set a handler before us keeps it.
    let _ = miette::set_hook(Box::new(move |_| {
        Box::new(MietteHandlerOpts::new().wrap_lines(is_watched).build())
    }));
}

impl Failure {
    /// What happened, in a sentence without a full stop.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Failure {
            message: message.into(),
            help: None,
            code: 1,
        }
    }

    /// A command line or file that cannot be used.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure {
            code: 2,
            ..Failure::new(message)
        }
    }

    /// What the user could do next.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What was being done when it happened.
    pub(crate) fn during(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// Tells the user, once.
    pub(crate) fn report(self) -> ExitCode {
        let code = self.code;
        crate::output::error(&format!("{:?}", miette::Report::new(self)));
        ExitCode::from(code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl Diagnostic for Failure {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.help.as_ref()?;
        Some(Box::new(help))
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let help = advice(&error);
        let is_usage = matches!(
            error,
            ClientError::InvalidServer { .. }
                | ClientError::UnusableKey
                | ClientError::WrongScheme { .. }
                | ClientError::InvalidHeader { .. }
        );
        let failure = if is_usage {
            Failure::usage(error.to_string())
        } else {
            Failure::new(error.to_string())
        };
        match help {
            Some(help) => failure.help(help),
            None => failure,
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::new(error.to_string())
    }
}

fn advice(error: &ClientError) -> Option<&'static str> {
    if matches!(error, ClientError::Unreachable { .. }) {
        return Some(
            "is it running? Start a store with `atoll dev -f FILE`, or name another server with --server",
        );
    }
    if matches!(
        error,
        ClientError::WrongScheme {
            wrong: WrongScheme::Tls,
            ..
        }
    ) {
        return Some("give --ca FILE; --cert and --key as well to administer the store");
    }
    match error.reason()? {
        Reason::UnknownCollection => Some("`atoll status` lists the collections"),
        Reason::TypeMismatch => Some(
            "`atoll status` shows each collection's type: put for Register and Document, patch for Document, op for Counter, Set and Map",
        ),
        Reason::PreconditionFailed => {
            Some("somebody else was faster: read the key again and decide anew")
        }
        Reason::SessionNotReached => {
            Some("the region lags behind what you have seen: wait, or give --timeout")
        }
        Reason::LostNotConfirmed => Some("if that loss is accepted, repeat the number with --lost"),
        Reason::RegionAlive => Some("let it leave with `atoll region drain`"),
        Reason::WriteConcernTimeout => {
            Some("the write stands in its region and will reach the others by itself")
        }
        Reason::ClockSkew => Some("set the clock of that machine; it goes on reading meanwhile"),
        _ => None,
    }
}
