//! A **session**: one run from a scenario to its findings, or the continuation of one. Installs, opens, folds what is on
//! disk, drives, and always closes the engine, whatever happens.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

use super::RunError;
use super::driver::{Driver, MakeJob, Patience};
use super::event::{Event, Listener};
use super::fold::{Fold, Folded};
use super::pinned::pinned;
use super::redact::Redactor;
use super::reproduce;
use super::usage::Meter;
use crate::campaign::Campaign;
use crate::capture::Sight;
use crate::cell::Cell;
use crate::engine::environment::{Context, Environment, clock_can_be_set, realise};
use crate::engine::external::{self, External};
use crate::engine::pod::PodOptions;
use crate::engine::select::{self, Choice, Kind};
use crate::engine::target::{self, Installed, TargetFacts};
use crate::engine::{Engine, EngineError, Job};
use crate::finding::Findings;
use crate::gateway::{Authority, Validity};
use crate::scenario::Scenario;
use crate::store::{Folder, Manifest, Recorded, StoreError};

/// How long pods may take to end when a run is over.
pub(super) const CLOSING: Duration = Duration::from_secs(30);
/// The common name of the authority: agents can see it, so it is one that any company's network could have.
const AUTHORITY: &str = "Network Root CA";

/// What is asked of a session.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is run, secrets and all.
    pub scenario: Scenario,
    /// Where the scenario was read.
    pub scenario_path: String,
    /// Its text.
    pub scenario_text: String,
    /// What the command line changed in it.
    pub overrides: Vec<String>,
    /// Decides the plan. `None`: that of the run in the folder, else a random one.
    pub seed: Option<u64>,
    /// Which engine.
    pub engine: Choice,
    /// Cells at once.
    pub jobs: usize,
    /// The run's folder.
    pub out: PathBuf,
    /// Whether to go on with what is in the folder.
    pub resume: bool,
    /// Our own executable.
    pub program: PathBuf,
}

/// A run that came to its end.
#[derive(Debug)]
pub struct Ended {
    /// What was found.
    pub findings: Box<Findings>,
    /// What was run.
    pub manifest: Manifest,
    /// The procedure at its end, with what it has seen.
    pub campaign: Campaign,
}

/// Runs a scenario, or goes on with a run. The findings are in the folder when this returns.
///
/// # Errors
/// When the run did not come to its end. What was done is in the folder and can be gone on with.
pub async fn run(request: &Request, listener: &Listener, cancel: &CancellationToken) -> Result<Ended, RunError> {
    // What a session keeps across its waits is large; whoever waits for it need not carry that.
    Box::pin(whole(request, listener, cancel)).await
}

async fn whole(request: &Request, listener: &Listener, cancel: &CancellationToken) -> Result<Ended, RunError> {
    let began = Instant::now();
    let redactor = Redactor::new(&request.scenario);
    let open_scenario = Arc::new(redactor.scenario(&request.scenario));
    let earlier = earlier(request, &open_scenario)?;
    let seed = earlier.as_ref().map_or_else(|| request.seed.unwrap_or_else(random_seed), |run| run.manifest.seed);
    let recorded = Arc::new(earlier.as_ref().map_or_else(|| Ok(Recorded::default()), |run| run.folder.records())?);
    if recorded.torn {
        listener(Event::Warning("the last record on disk was not whole and is left out".into()));
    }
    // What is on disk now may be cut off and run again: captures are looked for when they are wanted.
    let recollection = Folder::recollection(&request.out, Arc::default());
    let mut campaign = Campaign::recalling(open_scenario.clone(), seed, Arc::clone(&recollection) as _);
    let mut fold = Fold::new(Arc::clone(&recorded));
    let first = match fold.go(&mut campaign, true)? {
        Folded::Open { cells, absorbed } => (cells, absorbed),
        // Every cell is on disk: no engine is needed.
        Folded::Done(mut findings) => {
            let Some(run) = earlier else { unreachable!("a campaign planned nothing") };
            recollection.check()?;
            reproduce::complete(&mut findings, &run.manifest, &fold.plan);
            run.folder.write_plan(&fold.plan)?;
            run.folder.write_findings(&findings)?;
            return Ok(Ended { findings, manifest: run.manifest, campaign });
        }
    };
    if fold.absorbed > 0 {
        listener(Event::Resumed(fold.absorbed));
    }

    let id = random_id();
    let prepared = tokio::select! {
        biased;
        () = cancel.cancelled() => return Err(RunError::Interrupted),
        prepared = prepare(request, &id, seed, listener) => prepared?,
    };
    let work = async {
        let engine = prepared.engine.clone();
        let (folder, mut manifest) = if let Some(run) = earlier {
            same_target(&run.manifest.target, &engine.target())?;
            if run.manifest.engine != engine.describe() {
                let (before, now) = (&run.manifest.engine, engine.describe());
                listener(Event::Warning(format!("the run was begun on {before}, and goes on on {now}")));
            }
            (run.folder, run.manifest)
        } else {
            let manifest = new_manifest(request, &redactor, &open_scenario, seed, &id, &prepared);
            (Folder::create(&request.out, &manifest)?, manifest)
        };
        let mut writer = folder.append_after(&recorded, fold.absorbed)?;
        let driver = Driver {
            engine,
            jobs: request.jobs,
            make_job: prepared.make_job.clone(),
            redactor: Arc::new(redactor),
            listener: listener.clone(),
            cancel: cancel.clone(),
            patience: Patience::default(),
        };
        let mut meter = Meter::start();
        let preparing = (began.elapsed().as_secs_f64() * 1e3).round() / 1e3;
        let outcome = driver.run(&mut campaign, &folder, &mut writer, fold.plan, first, &mut meter).await;
        let mut usage = meter.read();
        usage.preparing = preparing;
        manifest.usage = Some(manifest.usage.unwrap_or_default() + usage);
        folder.write_manifest(&manifest)?;
        let mut findings = outcome?;
        recollection.check()?;
        campaign.look(|runs, _| {
            reproduce::complete(&mut findings, &manifest, runs.iter().map(|(ran, _)| &ran.cell));
        });
        folder.write_findings(&findings)?;
        Ok(Ended { findings, manifest, campaign })
    };
    // Pods must be gone after a panic of ours too.
    let ended = AssertUnwindSafe(work).catch_unwind().await;
    if tokio::time::timeout(CLOSING, prepared.engine.close()).await.is_err() {
        listener(Event::Warning("the engine did not end in time; `parallax clean` removes what is left".into()));
    }
    ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A run that was begun.
struct Earlier {
    folder: Folder,
    manifest: Manifest,
}

/// The run in the folder, if it is to be gone on with, and is this one.
fn earlier(request: &Request, scenario: &Scenario) -> Result<Option<Earlier>, RunError> {
    let out = request.out.display();
    let folder = match Folder::open(&request.out) {
        Ok(folder) if request.resume => folder,
        Ok(_) => return Err(StoreError::NotEmpty(request.out.clone()).into()),
        // The same command may be typed for the first time.
        Err(StoreError::NoRun(_)) => {
            Folder::require_empty(&request.out)?;
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let manifest = folder.manifest()?;
    if manifest.scenario.digest() != scenario.digest() {
        return Err(RunError::OtherRun(format!(
            "the run in {out} is of another scenario than {} is now; choose another folder with --out",
            request.scenario_path
        )));
    }
    if let Some(seed) = request.seed.filter(|seed| *seed != manifest.seed) {
        return Err(RunError::OtherRun(format!(
            "the run in {out} has seed {}, not {seed}; leave --seed out to go on with it",
            manifest.seed
        )));
    }
    Ok(Some(Earlier { folder, manifest }))
}

/// Refuses to mix cells of two different programs in one run.
pub(super) fn same_target(before: &TargetFacts, now: &TargetFacts) -> Result<(), RunError> {
    let differs = before.executable_sha256 != now.executable_sha256 || before.version != now.version;
    if !differs {
        return Ok(());
    }
    let name = |facts: &TargetFacts| {
        let digest = facts.executable_sha256.as_deref().unwrap_or("no digest");
        format!("{} ({})", facts.version.as_deref().unwrap_or("no version"), &digest[..digest.len().min(12)])
    };
    Err(RunError::OtherRun(format!(
        "the run was begun with target {}, and now it is {}: its cells cannot be compared",
        name(before),
        name(now)
    )))
}

/// An engine, ready, and what it must be told of each cell.
pub(super) struct Prepared {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) make_job: MakeJob,
    /// What all cells share, where environments are made real here.
    pub(super) context: Option<Context>,
}

pub(super) async fn prepare(request: &Request, id: &str, seed: u64, listener: &Listener) -> Result<Prepared, RunError> {
    let scenario = &request.scenario;
    let kind = select::choose(request.engine.clone(), &scenario.target.source).await?;
    if let Kind::External(program) = kind {
        // The program makes environments real, and has the target: there is nothing to install and no pod to check.
        let engine = Arc::new(External::new(program, scenario, seed));
        return Ok(Prepared { engine, make_job: tell_job(scenario), context: None });
    }
    let cache = target::cache_folder();
    let notice = |line: String| listener(Event::Preparing(line));
    let installed = target::install_for(&scenario.target, &cache, kind.userland(), &notice).await?;
    let clocks = scenario.clocks(chrono::Utc::now().timestamp_millis());
    if !clocks.is_empty() {
        clock_reaches(&installed, listener)?;
    }
    let validity = Validity::default().and_at(&clocks);
    let authority = Authority::mint_for(AUTHORITY, validity).map_err(|error| EngineError::Failed {
        step: "making the certificate authority",
        message: error.to_string(),
    })?;
    listener(Event::Preparing(String::from("opening the engine and checking its isolation")));
    let options = PodOptions {
        run: id.to_owned(),
        slots: request.jobs,
        authority: authority.clone(),
        ports: scenario.urls_ports(),
        stub: scenario.stub.clone(),
        program: request.program.clone(),
        target: installed.clone(),
        limits: scenario.target.limits,
        cache,
    };
    let engine = select::open(&kind, options).await?;
    if let Some(blind) = engine.sight().and_then(blind) {
        listener(Event::Warning(blind));
    }
    let context = Context {
        ca_certificate_pem: authority.certificate_pem,
        search: installed.search,
        variables: installed.variables,
        resolver: None,
    };
    Ok(Prepared { engine, make_job: make_job(scenario, context.clone()), context: Some(context) })
}

/// Says whom a clock that is varied does not reach; refuses where this program was built without it.
fn clock_reaches(installed: &Installed, listener: &Listener) -> Result<(), RunError> {
    if !clock_can_be_set() {
        return Err(EngineError::Missing(String::from(
            "this executable was built without the library that sets clocks, on a machine whose compiler could not link a \
             shared library: build it where a C compiler can, or remove the factor `clock`",
        ))
        .into());
    }
    let file = installed.executable_file();
    let is_static = match &file {
        Some(file) => target::is_static(file),
        None => false,
    };
    listener(Event::Warning(if is_static {
        String::from(
            "the factor `clock` does not reach this agent's executable: it is linked statically, and asks no C library for the \
             time; only programs that it starts may see the clock",
        )
    } else {
        String::from(
            "the factor `clock` reaches programs that ask the C library for the time; those that are linked statically or ask \
             the kernel themselves, as Go programs do, see the machine's own date at every level",
        )
    }));
    Ok(())
}

/// What an agent could do on this machine without being seen, if anything.
fn blind(sight: Sight) -> Option<String> {
    let what = match sight {
        Sight { every_port: true, watched: true, .. } => return None,
        Sight { every_port: false, watched: true, .. } => {
            "what agents say on ports that no URL of the scenario names: only that they dialled is recorded (the kernel lacks \
             the packet filter's redirection)"
        }
        Sight { every_port: true, watched: false, .. } => {
            "datagrams that nobody answers and connections that are refused on the machine itself (the kernel gives no packet \
             sockets to the gateway)"
        }
        Sight { every_port: false, watched: false, .. } => {
            "traffic to ports that no URL of the scenario names, and datagrams: neither can be redirected nor watched on this \
             kernel"
        }
    };
    Some(format!("this machine does not show {what}"))
}

/// How cells become jobs of an engine that makes environments real itself.
fn tell_job(scenario: &Scenario) -> MakeJob {
    let (limits, timeout) = (scenario.target.limits, scenario.target.timeout);
    Arc::new(move |cell: &Cell| Job {
        cell: cell.id.clone(),
        levels: cell.levels.clone(),
        environment: Environment::default(),
        limits,
        timeout,
    })
}

/// How cells become jobs. The engine gets the scenario with its secrets.
fn make_job(scenario: &Scenario, context: Context) -> MakeJob {
    let scenario = scenario.clone();
    Arc::new(move |cell: &Cell| Job {
        cell: cell.id.clone(),
        levels: cell.levels.clone(),
        environment: realise(&scenario, &cell.levels, &context),
        limits: scenario.target.limits,
        timeout: scenario.target.timeout,
    })
}

pub(super) fn new_manifest(
    request: &Request,
    redactor: &Redactor,
    scenario: &Scenario,
    seed: u64,
    id: &str,
    prepared: &Prepared,
) -> Manifest {
    use sha2::Digest as _;
    let engine = &prepared.engine;
    let scenario_text = redactor.text(&request.scenario_text);
    Manifest {
        schema_version: Manifest::SCHEMA_VERSION,
        parallax: env!("CARGO_PKG_VERSION").to_owned(),
        run: id.to_owned(),
        started: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        scenario_path: request.scenario_path.clone(),
        scenario_sha256: hex::encode(sha2::Sha256::digest(&scenario_text)),
        scenario_text,
        overrides: request.overrides.iter().map(|setting| redactor.text(setting)).collect(),
        scenario: scenario.clone(),
        seed,
        engine: engine.describe(),
        jobs: request.jobs,
        target: engine.target(),
        tzdb: chrono_tz::IANA_TZDB_VERSION.to_owned(),
        kernel: kernel(Path::new("/proc/sys/kernel/osrelease")),
        architecture: std::env::consts::ARCH.to_owned(),
        cores: cores(),
        usage: None,
        pinned: prepared.context.as_ref().map(|context| pinned(scenario, context)),
        sight: engine.sight(),
    }
}

fn kernel(path: &Path) -> String {
    std::fs::read_to_string(path).map_or_else(|_| String::from("unknown"), |text| text.trim().to_owned())
}

/// Processors of this machine.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Cells at once where nobody says: a program elsewhere is not bound by this machine's processors.
#[must_use]
pub fn default_jobs(engine: &Choice) -> usize {
    match engine {
        Choice::External(_) => external::DEFAULT_JOBS,
        Choice::Auto | Choice::Docker | Choice::Embedded => cores(),
    }
}

/// A seed that is easy to type again.
#[must_use]
pub fn random_seed() -> u64 {
    u64::from(rand::random::<u32>())
}

pub(super) fn random_id() -> String {
    format!("{:016x}", rand::random::<u64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_could_do_unseen_is_said() {
        let said = |every_port, watched| blind(Sight { every_port, watched, ipv6: true });
        assert_eq!(said(true, true), None);
        assert!(said(false, true).unwrap().contains("only that they dialled"));
        assert!(said(true, false).unwrap().contains("datagrams that nobody answers"));
        assert!(said(false, false).unwrap().contains("neither"));
    }
}
