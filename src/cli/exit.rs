//! **Exit codes**: what came of a command, for scripts. Stable.

use std::process::ExitCode;

use crate::finding::Verdict;

/// Shown below the help.
pub const HELP: &str = "Exit codes:
  0   nothing undisclosed and unexplained was found; or the command did what it should
  1   something undisclosed and unexplained was found
  2   the command line or the scenario is wrong, or the folder does not fit it
  3   inconclusive: cells were lost, the agent was silent, the power is too low, the run is not finished,
      or a finding did not reproduce
  4   the engine or the machine failed, or the run was interrupted (go on with --resume)
  70  a bug of parallax";

/// What came of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: nothing undisclosed and unexplained was found; or the command did what it should.
    Clean,
    /// 1: something undisclosed and unexplained was found.
    Findings,
    /// 2: the command line or the scenario is wrong, or the folder does not fit it.
    Usage,
    /// 3: cells were lost, the agent was silent, the power is too low, the run is not finished, or a finding did not
    /// reproduce.
    Inconclusive,
    /// 4: the engine or the machine failed, or the run was interrupted.
    Engine,
    /// 70: a bug of ours.
    Bug,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Findings => 1,
            Self::Usage => 2,
            Self::Inconclusive => 3,
            Self::Engine => 4,
            Self::Bug => 70,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Clean => Self::Clean,
            Verdict::Conditioned => Self::Findings,
            Verdict::Inconclusive => Self::Inconclusive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_in_the_help() {
        for exit in [Exit::Clean, Exit::Findings, Exit::Usage, Exit::Inconclusive, Exit::Engine, Exit::Bug] {
            assert!(HELP.contains(&format!("\n  {:<4}", exit.code())), "{exit:?}");
        }
    }
}
