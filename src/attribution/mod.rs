//! **Attribution**: which factors, which levels and which interaction explain a feature, with error control. Takes rows
//! of interned values under level assignments, asks for further cells, gives confirmed rules; refuses to know what a
//! value means or what a factor is.
//!
//! The procedure is Cover → Explain → Confirm: [`screen`] turns a table into signals, [`localise`] learns the rules of
//! each by counterexample-guided delta debugging, [`confirm`] flips fair coins. Explaining is written as straight-line
//! code that awaits runs of the agent; [`board`] turns it into rounds of cells, without any runtime.

pub mod alike;
mod bars;
pub mod board;
mod both;
pub mod claim;
pub mod confirm;
pub mod correction;
pub mod crowded;
pub mod description;
pub mod effect;
pub mod evidence;
pub mod level_class;
pub mod localise;
pub mod noisy;
pub mod permutation;
mod placement;
pub mod power;
pub mod procedure;
mod projected;
mod read_off;
pub mod rule;
pub mod screen;
