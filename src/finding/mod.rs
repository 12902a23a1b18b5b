//! **Findings**: attributed differences, grouped by cause, classed by how visible they are to a person. The types here
//! are the contract of `findings.json`; others read them. Knows nothing of containers, files or terminals.

pub mod classify;
pub mod codepoint;
pub mod compare;
pub mod disclose;
pub mod explain;
mod fold;
pub mod group;
pub mod severity;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::feature::Channel;
use crate::scenario::Severity;

/// Version of `findings.json`.
pub const SCHEMA_VERSION: u32 = 1;

/// `findings.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Findings {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The run in one word.
    pub verdict: Verdict,
    /// Why the verdict is `inconclusive`, or what a reader must know beside it.
    pub notes: Vec<String>,
    /// Cells by fate.
    pub cells: CellCounts,
    /// What was held constant, and so cannot have been found: `clock`, `cpus`, …
    pub not_varied: Vec<String>,
    /// What this design could have missed.
    pub power: Power,
    /// Whether cells were lost, the agent was silent or the budget ended the search, so that what was not found may still
    /// be there, whatever the verdict.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inconclusive: bool,
    /// Disclosures that this run does not bear out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<Stale>,
    /// The findings, undisclosed and covert first.
    pub findings: Vec<Finding>,
}

/// A disclosure that a run does not bear out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stale {
    /// The factors that it names.
    pub factors: Vec<String>,
    /// Its place pattern.
    pub place: String,
    /// What the vendor says.
    pub says: String,
    /// Why.
    pub why: StaleReason,
    /// Ids of the findings that contradict it.
    pub contradicted_by: Vec<String>,
}

/// Why a run does not bear a disclosure out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StaleReason {
    /// The run found that its places depend on something else, or on more.
    Contradicted,
    /// Its factors were varied, and nothing at its places was seen to depend on them.
    NotSeen,
    /// Some of its factors were not varied: this run cannot say.
    NotVaried,
}

/// The run in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing depends on the environment but what is disclosed or explained.
    Clean,
    /// Something undisclosed and unexplained does.
    Conditioned,
    /// Cells were lost, the agent was silent, or power was too low.
    Inconclusive,
}

/// Cells by fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CellCounts {
    /// Cells asked for.
    pub planned: u32,
    /// Cells with a capture.
    pub observed: u32,
    /// Cells that the engine could not run.
    pub failed: u32,
    /// Adaptive rounds.
    pub rounds: u32,
}

/// What this design could have missed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Power {
    /// Strength of the covering array: every combination of levels of this many factors was run at least once.
    pub strength: u8,
    /// Combinations of that many factors' levels that were run, of all that constraints allow.
    pub tuples_covered: u64,
    /// All that constraints allow.
    pub tuples_total: u64,
    /// Family-wise error rate of the confirmation.
    pub alpha: f64,
    /// Smallest rate at which a marker may show under its trigger and yet be seen at least once with probability .95,
    /// where the trigger is the combination of `strength` levels that the cover phase ran least often; 1 where one that
    /// constraints allow was not run at all, or where there are too many to count.
    pub smallest_rate: f64,
    /// Signals seen that could be explained by no factor, or were not confirmed.
    pub unexplained: Vec<String>,
    /// What the cover phase could have seen, and the coins have confirmed, of a main effect, of two factors together, of
    /// three, and of one factor more than the array's strength. An order that the scenario has too few factors for is not
    /// there.
    #[serde(default)]
    pub reach: Vec<Reach>,
    /// Fair coins.
    #[serde(default)]
    pub coins: Coins,
}

/// What this design could have missed of dependences on one number of factors, each on the narrowest levels: one level of
/// each factor.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reach {
    /// How many factors act together.
    pub order: u32,
    /// Combinations of so many factors' levels that the cover phase ran.
    pub covered: u64,
    /// All that constraints allow. What depends on one of the others was not seen.
    pub total: u64,
    /// Runs of the cover phase that had the combination which was run least; 0 where not all were run.
    pub runs: u32,
    /// The smallest rate at which a value may show under that combination and yet be seen in one of those runs with probability
    /// .95 (`1 − .05^(1/runs)`); `null` where there were none.
    pub seen_rate: Option<f64>,
    /// The smallest rate at which a value that shows under a combination, and nowhere else, would have been confirmed with
    /// probability .95 once it was suspected, each factor by coins of its own, with the cells that were left for coins. 1
    /// where only a dependence without chance would; `null` where not even that.
    pub confirmed_rate: Option<f64>,
}

/// The coins that a dependence more than those found would have had to pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Coins {
    /// The E that it would have had to reach: claims, and one more, by α's share.
    pub e_needed: f64,
    /// Coins that a dependence without chance needs for that: `log2(e_needed)`, as each at best doubles E.
    pub needed: u32,
    /// Cells that were left for coins.
    pub available: u32,
}

/// How visible a difference is to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The text reads the same: confusable or invisible characters, white space, another format of the same date,
    /// another order or case where order and case carry no meaning.
    Covert,
    /// The text reads differently.
    Overt,
    /// Something is there or is not: a request, a tool, a header, a part of the body.
    Structural,
    /// The program acts differently: exit, output, files, connections.
    Behavioural,
}

/// An attributed difference: one cause, one or more places.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Stable across runs of the same scenario: a digest of the channel, factors, rule and class.
    pub id: String,
    /// Where (of the first place).
    pub channel: Channel,
    /// Every place that changes with this cause.
    pub places: Vec<String>,
    /// The channels of those places, sorted; empty in what was written before they were kept.
    #[serde(default)]
    pub channels: Vec<Channel>,
    /// The factors, in scenario order.
    pub factors: Vec<String>,
    /// Those of the factors that the dependence as a whole needs, but that fair coins of their own have not confirmed: runs
    /// ended first. Empty where every factor is confirmed.
    #[serde(default)]
    pub suggested: Vec<String>,
    /// How many factors act together: 1 main effect, 2 and more interaction.
    pub order: u32,
    /// Which levels give which value: the last that matches wins; where none matches, the value is the baseline's.
    pub rule: Vec<Rule>,
    /// How visible.
    pub class: Class,
    /// How much attention it asks for, from its class and bits (see [`severity`]); a scenario can say otherwise.
    #[serde(default)]
    pub severity: Severity,
    /// Why the difference is expected: an echo of a level, the local date in the level's zone, …
    pub explained_by: Option<String>,
    /// What it looks like.
    pub excerpt: Excerpt,
    /// How strong.
    pub effect: Effect,
    /// Anytime-valid p-value, `min(1, 1/E)`.
    pub p_value: f64,
    /// Adjusted for the number of hypotheses confirmed in the run (Bonferroni).
    pub q_value: f64,
    /// Where chance has a part in it: the permutation p-value of the cover phase's scan that named a factor, `(1 + #)/(B + 1)`
    /// with B = 3999 permutations of which # are as good (Phipson and Smyth 2010), or `#/n` where # = 120 was reached after
    /// n of them (Besag and Clifford 1991), times the values tried, at most 1. A screen: what is reported rests on `p_value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screen_p: Option<f64>,
    /// Its E after each run in which coins were flipped on its factors, in the order of the plan; empty in what was
    /// written before it was kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence_curve: Vec<f64>,
    /// Cells that bear on it.
    pub support: Support,
    /// What the vendor says, if a disclosure covers it.
    pub disclosed: Option<String>,
    /// How to see it again.
    pub reproduce: Reproduce,
}

/// One line of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rule {
    /// Factor name → level labels.
    pub when: BTreeMap<String, Vec<String>>,
    /// The value then; `null` is absent.
    pub value: Option<String>,
}

/// What a difference looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Excerpt {
    /// At the baseline; `null` is absent.
    pub baseline: Option<String>,
    /// Where the rule applies; `null` is absent.
    pub variant: Option<String>,
    /// Code points in which the two differ.
    pub codepoints: Vec<CodePoint>,
}

/// A code point that stands in one of the excerpts' differing parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CodePoint {
    /// `baseline` or `variant`.
    pub side: String,
    /// `U+2019`.
    pub codepoint: String,
    /// `RIGHT SINGLE QUOTATION MARK`.
    pub name: String,
}

/// How strong a dependence is. All but Cramér's V are of the learned rule, each combination of its factors' levels (that
/// constraints allow) counting the same.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Effect {
    /// Mutual information between the factors and the value, in bits.
    pub bits: f64,
    /// Mutual information between each factor alone and the value, in bits, by the factor's name. What is left of `bits` is
    /// told by factors together only.
    #[serde(default)]
    pub shares: BTreeMap<String, f64>,
    /// Interaction information of the factors and the value, in bits, for two and three factors; else `null`. Above 0 what
    /// needs all factors at once (1 for XOR, less for a gate), 0 where each acts on its own, below 0 where factors that
    /// constraints tie together tell the same, or where one of three chooses which other counts.
    #[serde(default)]
    pub interaction_bits: Option<f64>,
    /// Into how many groups an endpoint that sees only the value could sort environments: the number of values.
    #[serde(default)]
    pub distinguishable: u32,
    /// Cramér's V between the factors' levels and the value on the runs, 0 to 1.
    pub cramers_v: f64,
}

/// Cells that bear on a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Support {
    /// Cells in which the value is what the rule says.
    pub agree: u32,
    /// Cells in which it is not.
    pub disagree: u32,
    /// Fair coins flipped on its factors.
    pub coins: u32,
}

/// How to see a finding again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reproduce {
    /// A cell with the baseline's value.
    pub baseline_cell: String,
    /// A cell with the variant's value, as few levels away from it as were run.
    pub variant_cell: String,
    /// The command that finds it again: the same plan, from the same seed.
    pub command: String,
    /// Commands by which anyone sees it without this program; `null` where plain commands cannot show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<ByHand>,
}

/// Plain shell commands (bash) that show a difference without this program and without its statistics. Printable ASCII.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ByHand {
    /// To be run once, in an empty folder or where the run was started: what the two need.
    pub prepare: Vec<String>,
    /// Runs the agent in the baseline's environment; what it sent is then in `baseline.txt`.
    pub baseline: String,
    /// The same in the variant's environment, into `variant.txt`.
    pub variant: String,
    /// Shows what differs.
    pub compare: String,
    /// What these commands do not make as the run's cells had it.
    pub leaves_out: Vec<String>,
}
