//! A connection by TLS that remembers why TLS ended it.
//!
//! With TLS 1.3 a client is done before the other side has judged its certificate (RFC 8446, section 2): that it
//! was turned away is an alert that comes later. HTTP may notice first that it cannot send, and then says only
//! that the connection is gone. So a write that fails before anything was heard looks for the alert, and
//! whatever was found is kept for whoever asks why.

use std::error::Error as _;
use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use hyper_util::client::legacy;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::TlsFault;
use crate::network::Stream;

/// Room for what is read only for the alert before it.
const SCRATCH_BYTES: usize = 64;

/// A client's connection by TLS.
pub struct TlsStream {
    inner: tokio_rustls::client::TlsStream<Stream>,
    ended: Ended,
    is_heard: bool,
}

/// Why TLS ended a connection, once it did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ended(Arc<OnceLock<TlsFault>>);

impl Ended {
    /// The fault of the connection that a call ended with, or of the attempt to make one.
    pub(crate) fn of_call(error: &legacy::Error) -> Option<TlsFault> {
        let of_connection = || {
            let mut kept = http::Extensions::new();
            error.connect_info()?.get_extras(&mut kept);
            kept.remove::<Ended>()?.0.get().cloned()
        };
        let of_attempt = || TlsFault::in_chain(error.source()?);
        of_attempt().or_else(of_connection)
    }
}

impl TlsStream {
    pub(crate) fn new(inner: tokio_rustls::client::TlsStream<Stream>) -> Self {
        TlsStream {
            inner,
            ended: Ended::default(),
            is_heard: false,
        }
    }

    /// Where it is told why TLS ended this connection.
    pub(crate) fn ended(&self) -> Ended {
        self.ended.clone()
    }

    fn noted(&self, error: io::Error) -> io::Error {
        if let Some(fault) = TlsFault::in_chain(&error) {
            let _ = self.ended.0.set(fault);
        }
        error
    }

    /// What came of a write; where it failed before anything was heard, why.
    fn written<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let Poll::Ready(Err(error)) = written else {
            return written;
        };
        let mut scratch = [0; SCRATCH_BYTES];
        let mut scratch = ReadBuf::new(&mut scratch);
        let error = if self.is_heard {
            error
        } else {
            match Pin::new(&mut self.inner).poll_read(context, &mut scratch) {
                Poll::Ready(Err(told)) if TlsFault::in_chain(&told).is_some() => told,
                _ => error,
            }
        };
        Poll::Ready(Err(self.noted(error)))
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let had = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buffer);
        self.is_heard |= buffer.filled().len() > had;
        read.map_err(|error| self.noted(error))
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.written(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        self.written(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.inner).poll_shutdown(context);
        self.written(context, closed)
    }
}
