//! Checks what is varied: each factor by itself, then all of them against each other and the target.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;

use super::super::document::{Document, FactorDocument, TargetDocument};
use super::super::error::{Refusal, Refusals, alternatives, did_you_mean};
use super::super::factor::{Factor, FactorKind, Level, WELL_KNOWN};
use super::super::levels::{self, SetError};
use super::super::path::is_below;
use super::super::placed::{LevelDocument, OneOrMany, Placed};
use super::super::placeholder::{self, is_name};
use super::target::file_path;
use super::{is_variable, level, without_nul};

/// Names that placeholders have already.
const RESERVED: [&str; 3] = ["prompt", "workspace", "target"];

/// Levels of one factor at most: what is beyond could not be run anyway.
const MOST_LEVELS: usize = 10_000;

/// Checks the sections `[factors.NAME]`. `None` where any was refused, since what refers to them would be refused too.
pub(super) fn check(document: &Document, folder: &Path, refusals: &mut Refusals) -> Option<Vec<Factor>> {
    if document.factors.0.is_empty() {
        refusals.push(
            Refusal::at(
                document.name.span.clone(),
                "there is nothing to vary: the scenario has no factors",
                "no factors",
            )
            .help("add one, such as\n[factors.timezone]\nlevels = [\"UTC\", \"Asia/Tokyo\"]"),
        );
        return None;
    }
    let mut factors = Vec::new();
    for (name, written) in &document.factors.0 {
        if let Some(factor) = one(name, written, folder, refusals) {
            factors.push((name, written, factor));
        }
    }
    if factors.len() < document.factors.0.len() {
        return None;
    }
    clashes(&factors, &document.target, refusals);
    impossible_cells(&factors, &document.target, refusals);
    for (name, written, factor) in &factors {
        if let FactorKind::BaseUrl { variable: None } = factor.kind
            && !is_mentioned(name, &document.target)
        {
            refusals.push(
                Refusal::at(name.span.clone(), format!("nothing tells the agent of `{}`", name.value), "not used")
                    .and(written.span.clone(), "no `variable` here")
                    .help(format!(
                        "name the variable that the agent reads, such as variable = \"OPENAI_BASE_URL\", or write \
                         {{{}}} in the target's command, env or files",
                        name.value
                    )),
            );
        }
    }
    Some(factors.into_iter().map(|(_, _, factor)| factor).collect())
}

/// Refuses a file where the home or working folder of some cell must be, and a command that an unset level empties.
fn impossible_cells(
    factors: &[(&Placed<String>, &Placed<FactorDocument>, Factor)],
    target: &TargetDocument,
    refusals: &mut Refusals,
) {
    let values = |wanted: fn(&FactorKind) -> bool, default: &str| -> Vec<String> {
        let found: Vec<String> = factors
            .iter()
            .filter(|(_, _, factor)| wanted(&factor.kind))
            .flat_map(|(_, _, factor)| factor.levels.iter().filter_map(|level| level.0.clone()))
            .collect();
        if found.is_empty() { vec![default.to_owned()] } else { found }
    };
    let users = values(|kind| matches!(kind, FactorKind::User), "dev");
    let mut homes = values(|kind| matches!(kind, FactorKind::Home), "");
    if homes == [""] {
        homes = users.iter().map(|user| format!("/home/{user}")).collect();
    }
    let folders: Vec<String> =
        values(|kind| matches!(kind, FactorKind::Cwd), "/workspace").into_iter().chain(homes.iter().cloned()).collect();
    let varied = factors.iter().filter(|(_, _, factor)| matches!(factor.kind, FactorKind::File { .. }));
    let varied = varied.filter_map(|(_, written, _)| written.path.as_ref());
    for path in target.files.0.iter().map(|file| &file.path).chain(varied) {
        let Ok(clean) = file_path(path) else { continue };
        let stands = |home: &String| if clean.starts_with('/') { clean.clone() } else { format!("{home}/{clean}") };
        if homes.iter().map(stands).any(|file| folders.iter().any(|folder| is_below(folder, &file))) {
            refusals.push(Refusal::at(
                path.span.clone(),
                format!("`{clean}` cannot be a file"),
                "home or working folder of some cell",
            ));
        }
    }
    if let Some(program) = target.command.as_ref().and_then(|command| command.first()) {
        for (name, _, factor) in factors {
            let alone = program.as_str() == format!("{{{}}}", factor.name);
            if alone && factor.levels.contains(&Level(None)) {
                refusals.push(
                    Refusal::at(
                        program.span.clone(),
                        "some cells would have no program to run",
                        "not set in every cell",
                    )
                    .and(name.span.clone(), "has a level that is unset"),
                );
            }
        }
    }
}

fn is_mentioned(name: &str, target: &TargetDocument) -> bool {
    let in_command =
        target.command.iter().flat_map(|command| command.iter()).any(|word| placeholder::mentions(word, name));
    let in_env = target.env.0.iter().any(|(_, value)| placeholder::mentions(value, name));
    let in_files = target.files.0.iter().any(|file| placeholder::mentions(&file.contents, name));
    in_command || in_env || in_files
}

fn one(
    name: &Placed<String>,
    written: &Placed<FactorDocument>,
    folder: &Path,
    refusals: &mut Refusals,
) -> Option<Factor> {
    let named = refusals.take(factor_name(name, written));
    let kind = refusals.take(kind(name, written))?;
    let levels = levels(&kind, name, written, folder, refusals)?;
    let levels = refusals.take(with_baseline(&kind, levels, written.baseline.as_ref()))?;
    named.map(|()| Factor { name: name.value.clone(), kind, levels })
}

fn factor_name(name: &Placed<String>, written: &FactorDocument) -> Result<(), Refusal> {
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(Refusal::at(
            name.span.clone(),
            format!("`{}` is no name for a factor", name.value),
            "not a short name",
        )
        .help("use letters, digits, dots, hyphens and underscores"));
    }
    let home = name.value == "home" && written.kind.as_ref().is_some_and(|kind| kind.value != "home");
    if RESERVED.contains(&name.as_str()) || home {
        return Err(Refusal::at(name.span.clone(), format!("a factor cannot be called `{}`", name.value), "taken")
            .help(format!("{{{}}} already stands for something else in commands and files", name.value)));
    }
    Ok(())
}

fn kind(name: &Placed<String>, written: &Placed<FactorDocument>) -> Result<FactorKind, Refusal> {
    let place = written.kind.as_ref().unwrap_or(name);
    let kind = match place.as_str() {
        "timezone" => FactorKind::Timezone,
        "locale" => FactorKind::Locale,
        "hostname" => FactorKind::Hostname,
        "proxy" => FactorKind::Proxy,
        "base_url" => {
            FactorKind::BaseUrl { variable: written.variable.as_ref().map(|variable| variable.value.clone()) }
        }
        "user" => FactorKind::User,
        "home" => FactorKind::Home,
        "terminal" => FactorKind::Terminal,
        "ci" => FactorKind::Ci,
        "shell" => FactorKind::Shell,
        "cwd" => FactorKind::Cwd,
        "git" => FactorKind::Git,
        "dns_search" => FactorKind::DnsSearch,
        "machine_id" => FactorKind::MachineId,
        "clock" => FactorKind::Clock,
        "cpus" => FactorKind::Cpus,
        "trust" => FactorKind::Trust,
        "appearance" => FactorKind::Appearance,
        "http_version" => FactorKind::HttpVersion,
        "argument" => FactorKind::Argument,
        "env" if written.kind.is_some() => match &written.variable {
            Some(variable) => FactorKind::Env { variable: variable.value.clone() },
            None => return Err(missing(name, written, "variable", &format!("\"{}\"", name.to_uppercase()))),
        },
        "file" if written.kind.is_some() => match &written.path {
            Some(path) => FactorKind::File { path: file_path(path)? },
            None => return Err(missing(name, written, "path", "\".config/agent.json\"")),
        },
        unknown => return Err(unknown_kind(unknown, name, written)),
    };
    for (key, given, used) in [
        ("variable", &written.variable, matches!(kind, FactorKind::Env { .. } | FactorKind::BaseUrl { .. })),
        ("path", &written.path, matches!(kind, FactorKind::File { .. })),
    ] {
        if let Some(given) = given
            && !used
        {
            let message = format!("`{key}` means nothing for a factor of kind {}", kind.name());
            return Err(Refusal::at(given.span.clone(), message, "not used").help("remove it, or set `kind`"));
        }
    }
    if let Some(variable) = &written.variable
        && !is_variable(variable)
    {
        let message = format!("`{}` is no name of a variable", variable.value);
        return Err(Refusal::at(variable.span.clone(), message, "not a name")
            .help("use letters, digits and underscores, and no digit first"));
    }
    Ok(kind)
}

fn missing(name: &Placed<String>, written: &Placed<FactorDocument>, key: &str, example: &str) -> Refusal {
    let place = written.kind.as_ref().map_or_else(|| name.span.clone(), |kind| kind.span.clone());
    Refusal::at(place, format!("the factor `{}` has no `{key}`", name.value), format!("needs a `{key}`"))
        .help(format!("add {key} = {example}"))
}

fn unknown_kind(unknown: &str, name: &Placed<String>, written: &Placed<FactorDocument>) -> Refusal {
    let kinds = || WELL_KNOWN.iter().copied().chain(["env", "file", "argument"]);
    if let Some(kind) = &written.kind {
        let help = did_you_mean(unknown, kinds()).unwrap_or_else(|| format!("write {}", alternatives(kinds())));
        return Refusal::at(kind.span.clone(), format!("unknown kind of factor `{unknown}`"), "unknown").help(help);
    }
    let near =
        did_you_mean(unknown, WELL_KNOWN).map_or_else(|| String::from("say"), |near| format!("{near} If not, say"));
    Refusal::at(name.span.clone(), format!("`{unknown}` is not a well-known factor, and has no `kind`"), "unknown without a `kind`").help(
        format!("{near} what it is: kind = \"env\" with variable = \"…\", kind = \"file\" with path = \"…\", or kind = \"argument\""),
    )
}

type PlacedLevel = (Level, Range<usize>);

fn levels(
    kind: &FactorKind,
    name: &Placed<String>,
    written: &Placed<FactorDocument>,
    folder: &Path,
    refusals: &mut Refusals,
) -> Option<Vec<PlacedLevel>> {
    let Some(given) = &written.levels else {
        refusals.push(
            Refusal::at(name.span.clone(), format!("the factor `{}` has no levels", name.value), "no `levels`")
                .help("add levels = [\"…\", \"…\"], the first of them the baseline"),
        );
        return None;
    };
    let documents = match &given.value {
        OneOrMany::Many(levels) => levels.clone(),
        OneOrMany::One(set) => refusals.take(named_set(kind, set, folder))?,
    };
    let mut levels: Vec<PlacedLevel> = Vec::with_capacity(documents.len());
    let mut seen: HashMap<Level, Range<usize>> = HashMap::new();
    let mut good = true;
    for document in &documents {
        let Some(level) = refusals.take(level::read(kind, document)) else {
            good = false;
            continue;
        };
        if let Some(first) = seen.insert(level.clone(), document.span.clone()) {
            let mut refusal =
                Refusal::at(document.span.clone(), format!("the level `{}` is listed twice", level.label()), "again");
            if first != document.span {
                refusal = refusal.and(first, "first");
            }
            refusals.push(refusal.help("remove one: levels are compared with each other, so they must differ"));
            good = false;
            continue;
        }
        levels.push((level, document.span.clone()));
    }
    if !good {
        return None;
    }
    let count = levels.len();
    if !(2..=MOST_LEVELS).contains(&count) {
        let message = match count {
            0 => format!("the factor `{}` has no levels", name.value),
            1 => format!("the factor `{}` has a single level", name.value),
            _ => format!("the factor `{}` has {count} levels, and may have {MOST_LEVELS}", name.value),
        };
        let label = if count < 2 { "nothing varies here" } else { "too many" };
        refusals.push(
            Refusal::at(given.span.clone(), message, label)
                .help("give it at least two levels; what never varies belongs into the target's env or files"),
        );
        return None;
    }
    Some(levels)
}

fn named_set(
    kind: &FactorKind,
    set: &Placed<LevelDocument>,
    folder: &Path,
) -> Result<Vec<Placed<LevelDocument>>, Refusal> {
    let LevelDocument::Text(name) = &set.value else {
        return Err(Refusal::at(set.span.clone(), "levels are an array", "a single level")
            .help("write levels = [\"…\", \"…\"]"));
    };
    without_nul(name, &set.span)?;
    let values = levels::named(name, folder).map_err(|error| match error {
        SetError::Unknown => {
            Refusal::at(set.span.clone(), format!("there is no set of levels `{name}`"), "not a set of levels")
                .help(format!("the sets are {}; levels of your own stand in brackets", levels::SETS))
        }
        SetError::Unreadable(why) => Refusal::at(set.span.clone(), why, "cannot be read")
            .help("the file of hosts: is looked for in the folder of the scenario"),
    })?;
    // A file of hosts may serve several factors: where a URL is wanted, a bare host is made one.
    let url = matches!(kind, FactorKind::BaseUrl { .. } | FactorKind::Proxy);
    let complete = |value: String| {
        if url && value != "none" && !value.contains("://") { format!("http://{value}") } else { value }
    };
    Ok(values
        .into_iter()
        .map(|value| Placed { span: set.span.clone(), value: LevelDocument::Text(complete(value)) })
        .collect())
}

/// Moves the baseline to the front.
fn with_baseline(
    kind: &FactorKind,
    mut levels: Vec<PlacedLevel>,
    baseline: Option<&Placed<LevelDocument>>,
) -> Result<Vec<Level>, Refusal> {
    if let Some(written) = baseline {
        let wanted = level::read(kind, written)?;
        let Some(index) = levels.iter().position(|(level, _)| *level == wanted) else {
            let labels = levels.iter().map(|(level, _)| level.label());
            let help = did_you_mean(wanted.label(), labels).unwrap_or_else(|| String::from("name one of `levels`"));
            return Err(Refusal::at(
                written.span.clone(),
                format!("the baseline `{}` is not a level", wanted.label()),
                "not in `levels`",
            )
            .help(help));
        };
        levels[..=index].rotate_right(1);
    }
    Ok(levels.into_iter().map(|(level, _)| level).collect())
}

/// Refuses two things that decide the same variable or file.
fn clashes(
    factors: &[(&Placed<String>, &Placed<FactorDocument>, Factor)],
    target: &TargetDocument,
    refusals: &mut Refusals,
) {
    let mut kinds: BTreeMap<&str, &Placed<String>> = BTreeMap::new();
    let mut variables: BTreeMap<&str, &Placed<String>> = BTreeMap::new();
    let mut files: Vec<(&str, &Placed<String>)> = Vec::new();
    let refusal = |place: &Placed<String>, other: &Placed<String>, what: &str| {
        Refusal::at(place.span.clone(), format!("`{}` and `{}` both decide {what}", other.value, place.value), "again")
            .and(other.span.clone(), "first")
            .help("remove one, or what is seen could not be laid to either")
    };
    for (name, _, factor) in factors {
        let repeatable = matches!(
            factor.kind,
            FactorKind::Env { .. } | FactorKind::File { .. } | FactorKind::Argument | FactorKind::BaseUrl { .. }
        );
        if !repeatable && let Some(other) = kinds.insert(factor.kind.name(), name) {
            refusals.push(refusal(name, other, &format!("the {}", factor.kind.name())));
            continue;
        }
        for variable in factor.kind.variables() {
            if let Some(other) = variables.insert(variable, name) {
                refusals.push(refusal(name, other, &format!("the variable {variable}")));
            }
        }
        let exact = !matches!(factor.kind, FactorKind::File { .. });
        for path in factor.kind.files() {
            // The account's name, home and shell stand in one file, and get along there.
            if let Some((file, other)) = files.iter().find(|(file, other)| {
                let clash = is_below(path, file) || is_below(file, path);
                clash
                    && !(exact
                        && is_account(factor)
                        && factors.iter().any(|(name, _, factor)| name.span == other.span && is_account(factor)))
            }) {
                refusals.push(refusal(name, other, &format!("the file {file}")));
            }
            files.push((path, name));
        }
    }
    for (name, _) in &target.env.0 {
        if let Some(other) = variables.get(name.as_str()) {
            refusals.push(
                Refusal::at(
                    name.span.clone(),
                    format!("`{}` is pinned here, and varied by the factor `{}`", name.value, other.value),
                    "pinned",
                )
                .and(other.span.clone(), "varied")
                .help("remove one of the two"),
            );
        }
    }
    for file in &target.files.0 {
        let Ok(path) = file_path(&file.path) else { continue };
        if let Some((_, other)) = files.iter().find(|(other, _)| is_below(&path, other) || is_below(other, &path)) {
            refusals.push(
                Refusal::at(
                    file.path.span.clone(),
                    format!("`{path}` is pinned here, and varied by the factor `{}`", other.value),
                    "pinned",
                )
                .and(other.span.clone(), "varied")
                .help("remove one of the two"),
            );
        }
    }
}

fn is_account(factor: &Factor) -> bool {
    matches!(factor.kind, FactorKind::User | FactorKind::Home | FactorKind::Shell)
}
