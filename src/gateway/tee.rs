//! The **tee**: stands between the wire (or TLS) and the HTTP parser, hands out raw bytes before anyone has parsed them,
//! and keeps the first of them for the record.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How many first bytes of a connection are kept.
const FIRST_BYTES: usize = 256;

/// How much is read at once.
const CHUNK: usize = 32 * 1024;

/// How much is read at once where a head is looked for: what comes behind it is copied once more than what is read by
/// [`Tee::read_onto`].
const HEAD: usize = 8 * 1024;

/// A stream in both directions, whatever lies under it.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A buffered reader whose buffer can be looked at, which remembers the first bytes that came through it.
pub(super) struct Tee {
    inner: Box<dyn Duplex>,
    buffer: Vec<u8>,
    start: usize,
    first: Vec<u8>,
    arrived: Instant,
}

impl Tee {
    /// A tee over `inner`.
    pub(super) fn new(inner: Box<dyn Duplex>) -> Self {
        Self { inner, buffer: Vec::new(), start: 0, first: Vec::new(), arrived: Instant::now() }
    }

    /// Bytes that came and were not consumed.
    pub(super) fn buffer(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Takes `count` bytes off the buffer's front.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.buffer.len());
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
    }

    /// Waits for more bytes. Gives how many came, 0 at the end; a connection that broke has ended.
    pub(super) async fn fill(&mut self) -> usize {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.reserve(HEAD);
        let count = self.inner.read_buf(&mut self.buffer).await.unwrap_or(0);
        if count > 0 {
            self.arrived = Instant::now();
            remember(&mut self.first, &self.buffer[self.buffer.len() - count..]);
        }
        count
    }

    /// Waits for more bytes, and puts at most `most` of them, as many as came, behind `into`'s without a detour through
    /// the buffer, which must be empty. Gives how many came, as [`fill`](Self::fill) does.
    pub(super) async fn read_onto(&mut self, into: &mut Vec<u8>, most: usize) -> usize {
        debug_assert!(self.buffer().is_empty(), "what came first goes first");
        if into.capacity() == into.len() {
            into.reserve(most.min(CHUNK));
        }
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        let count = (&mut self.inner).take(most).read_buf(into).await.unwrap_or(0);
        if count > 0 {
            self.arrived = Instant::now();
            remember(&mut self.first, &into[into.len() - count..]);
        }
        count
    }

    /// Forgets the first bytes: what is here now, or comes next, begins something else.
    pub(super) fn restart(&mut self) {
        self.first.clear();
        remember(&mut self.first, &self.buffer[self.start..]);
    }

    /// When the last bytes came.
    pub(super) fn arrived(&self) -> Instant {
        self.arrived
    }

    /// The first bytes that came, at most 256.
    pub(super) fn first_bytes(&self) -> &[u8] {
        &self.first
    }
}

/// Adds to the first bytes while there is room.
fn remember(first: &mut Vec<u8>, fresh: &[u8]) {
    let room = FIRST_BYTES - first.len();
    first.extend_from_slice(&fresh[..fresh.len().min(room)]);
}

impl AsyncRead for Tee {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.buffer().is_empty() {
            if into.remaining() >= CHUNK {
                return Pin::new(&mut self.inner).poll_read(context, into);
            }
            // TLS asks for 4 KiB at a time, each of which would be a call of the kernel's.
            let Self { inner, buffer, .. } = &mut *self;
            buffer.reserve(CHUNK);
            ready!(poll_read_buf(Pin::new(inner), context, buffer))?;
        }
        let count = self.buffer().len().min(into.remaining());
        into.put_slice(&self.buffer()[..count]);
        self.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tee {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// A stream that ends when its cell does: from then on reads find the end and writes fail, in every layer above, so
/// that whatever was under way is recorded as cut short by the ordinary path.
pub(super) struct Mortal<S> {
    inner: S,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S> Mortal<S> {
    /// A stream that ends with `stop`.
    pub(super) fn new(inner: S, stop: &CancellationToken) -> Self {
        Self { inner, stop: Box::pin(stop.clone().cancelled_owned()) }
    }

    fn stopped(&mut self, context: &mut Context<'_>) -> bool {
        self.stop.as_mut().poll(context).is_ready()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Mortal<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Asked first: a peer that never stops sending must not outlive its cell.
        if self.stopped(context) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Mortal<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.stopped(context) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
