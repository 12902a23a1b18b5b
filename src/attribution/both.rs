//! **Both** of two questions asked of the board at once.

use std::future::Future;
use std::pin::Pin;

/// A future that keeps its result until it is taken.
struct Join<F: Future> {
    future: F,
    result: Option<F::Output>,
}

impl<F: Future + Unpin> Join<F>
where
    F::Output: Unpin,
{
    fn new(future: F) -> Self {
        Self { future, result: None }
    }

    fn poll(&mut self, context: &mut std::task::Context<'_>) -> bool {
        if self.result.is_none()
            && let std::task::Poll::Ready(value) = Pin::new(&mut self.future).poll(context)
        {
            self.result = Some(value);
        }
        self.result.is_some()
    }
}

/// Polls both on every turn, so that both have their wants on the board. (`join!` of a runtime would wait for wakers,
/// which the board does not use.)
pub(super) struct Both<A: Future, B: Future> {
    first: Join<A>,
    second: Join<B>,
}

impl<A, B> Both<A, B>
where
    A: Future + Unpin,
    B: Future + Unpin,
    A::Output: Unpin,
    B::Output: Unpin,
{
    /// Asks both.
    pub(super) fn of(first: A, second: B) -> Self {
        Self { first: Join::new(first), second: Join::new(second) }
    }
}

impl<A, B> Future for Both<A, B>
where
    A: Future + Unpin,
    B: Future + Unpin,
    A::Output: Unpin,
    B::Output: Unpin,
{
    type Output = (A::Output, B::Output);

    fn poll(mut self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Self::Output> {
        let this = &mut *self;
        let (first, second) = (this.first.poll(context), this.second.poll(context));
        if !(first && second) {
            return std::task::Poll::Pending;
        }
        match (this.first.result.take(), this.second.result.take()) {
            (Some(first), Some(second)) => std::task::Poll::Ready((first, second)),
            _ => std::task::Poll::Pending,
        }
    }
}
