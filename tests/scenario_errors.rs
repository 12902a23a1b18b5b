//! Every refusal of a scenario: its message, and the very text that is underlined.

use std::path::Path;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use parallax::scenario::{Level, Scenario, ScenarioError, json_schema, load, parse};

const GOOD: &str = r#"
name = "x"
[target]
npm = "x"
command = ["x", "{prompt}"]
[factors.timezone]
levels = ["UTC", "Asia/Tokyo"]
"#;

fn read(text: &str) -> Result<Scenario, Box<ScenarioError>> {
    parse(text, "bad.toml", Path::new(env!("CARGO_MANIFEST_DIR")), &[])
}

fn set(text: &str, overrides: &[&str]) -> Result<Scenario, Box<ScenarioError>> {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    parse(text, "bad.toml", Path::new(env!("CARGO_MANIFEST_DIR")), &overrides)
}

/// A good scenario with `target` and `rest` in place of its own sections.
fn with(target: &str, rest: &str) -> String {
    format!("name = \"x\"\n[target]\n{target}\n{rest}")
}

const NPM: &str = "npm = \"x\"\ncommand = [\"x\"]";
const ZONES: &str = "[factors.timezone]\nlevels = [\"UTC\", \"Asia/Tokyo\"]\n";

/// Asserts that the text is refused, for this reason, with just this underlined, and with a remedy that says `help`.
#[track_caller]
fn refused(text: &str, message: &str, underlined: &str, help: &str) {
    let error = read(text).expect_err("a refusal");
    same(&error, message, underlined, help);
}

#[track_caller]
fn same(error: &ScenarioError, message: &str, underlined: &str, help: &str) {
    assert!(error.to_string().contains(message), "the message is: {error}");
    assert_eq!(error.underlined(), Some(underlined), "{error}");
    let given = error.help().map(|help| help.to_string()).unwrap_or_default();
    assert!(given.contains(help), "the help is: {given}");
}

#[test]
fn a_good_scenario_has_its_defaults() {
    let scenario = read(GOOD).unwrap();
    assert_eq!((scenario.name.as_str(), scenario.target.prompt.as_str()), ("x", "Reply with OK."));
    assert_eq!(scenario.target.timeout.as_secs(), 60);
    assert_eq!((scenario.target.limits.memory_bytes, scenario.target.limits.processes), (2 << 30, 512));
    let design = scenario.design;
    assert_eq!((design.budget, design.replicates, design.minimum_rows), (400, 8, 64));
    assert!((design.alpha - 0.05).abs() < 1e-12);
    // One factor alone has no pairs.
    assert_eq!(design.strength, 1);
}

#[test]
fn documents_that_are_not_documents() {
    refused("name = \"x\"\ntarget = = 1\n", "not TOML", "=", "");
    refused("name = \"x\"\nname = \"y\"\n", "not TOML: duplicate key", "name", "");
    refused("name = \"x", "not TOML", "", "");
    let empty = read("").expect_err("a refusal");
    assert_eq!(empty.to_string(), "the key `name` is missing");
    refused("name = \"x\"\n", "the key `target` is missing", "", "[target]");
    refused(&GOOD.replace("name = \"x\"", "name = \"a b\""), "`a b` is no name for a scenario", "\"a b\"", "letters");
}

#[test]
fn unknown_keys_and_wrong_types() {
    refused(
        &with(&format!("{NPM}\ntimout = \"60s\""), ZONES),
        "unknown key `timout`",
        "timout",
        "did you mean `timeout`?",
    );
    refused(&format!("{GOOD}[zzz]\n"), "unknown key `zzz`", "zzz", "`factors`");
    refused(&format!("{GOOD}[design]\nbuget = 5"), "unknown key `buget`", "buget", "`budget`");
    refused(&format!("{GOOD}levls = []"), "unknown key `levls`", "levls", "`levels`");
    refused(&with("npm = 5\ncommand = [\"x\"]", ZONES), "expected a string, found integer `5`", "5", "");
    refused(&with("npm = \"x\"\ncommand = \"x\"", ZONES), "expected an array, found string \"x\"", "\"x\"", "");
    refused(&with(NPM, "[factors.timezone]\nlevels = [\"UTC\", 1.5]"), "expected a level", "1.5", "");
    refused(
        &with(NPM, "[factors.timezone]\nlevels = [\"UTC\", { unset = false }]"),
        "{ unset = true }",
        "{ unset = false }",
        "",
    );
    refused(
        &with(NPM, "[factors.timezone]\nlevels = [\"UTC\", { unst = true }]"),
        "unknown key `unst`",
        "unst",
        "`unset`",
    );
    refused(&format!("{GOOD}[design]\nbudget = \"many\""), "expected", "\"many\"", "");
}

#[test]
fn targets_without_a_program() {
    refused(&with("npm = \"x\"", ZONES), "the key `command` is missing", "[target]", "command = [");
    refused(&with("npm = \"x\"\ncommand = []", ZONES), "the command is empty", "[]", "command = [");
    refused(&with("npm = \"x\"\ncommand = [\" \"]", ZONES), "the command is empty", "\" \"", "command = [");
    refused(&with("command = [\"agent\"]", ZONES), "nothing says where `agent` comes from", "\"agent\"", "npm = ");
    refused(&with("command = [\"Cargo.toml\"]", ZONES), "nothing says where", "\"Cargo.toml\"", "write ./Cargo.toml");
    refused(
        &with("command = [\"./missing\"]", ZONES),
        "there is no program `./missing`",
        "\"./missing\"",
        "folder of the scenario",
    );
    refused(&with("command = [\"./src\"]", ZONES), "there is no program `./src`", "\"./src\"", "");
    refused(&with("command = [\"./Cargo.toml\"]", ZONES), "is not executable", "\"./Cargo.toml\"", "chmod +x");
    refused(&with("npm = \"x\"\npypi = \"y\"\ncommand = [\"x\"]", ZONES), "both `npm` and `pypi`", "\"y\"", "keep one");
    refused(&with("image = \"\"\ncommand = [\"x\"]", ZONES), "the image is missing", "\"\"", "image reference");
    refused(
        &with("image = \"a:1\"\nversion = \"1\"\ncommand = [\"x\"]", ZONES),
        "`version` goes with npm and pypi",
        "\"1\"",
        "tag",
    );
    refused(&with("npm = \"x@1.2\"\ncommand = [\"x\"]", ZONES), "not a name of npm", "\"x@1.2\"", "version = \"1.2\"");
    refused(&with("npm = \"../x\"\ncommand = [\"x\"]", ZONES), "not a name of npm", "\"../x\"", "");
    refused(&with("pypi = \"a/b\"\ncommand = [\"x\"]", ZONES), "not a name of PyPI", "\"a/b\"", "");
    refused(&with(&format!("{NPM}\nversion = \"1/2\""), ZONES), "`1/2` is not a version", "\"1/2\"", "latest");
    refused(
        &with("command = [\"x\"]\ninclude = [\"nowhere\"]", ZONES),
        "no `nowhere` to include",
        "\"nowhere\"",
        "folder",
    );
    refused(
        &with(&format!("{NPM}\ninclude = [\"src\"]"), ZONES),
        "`include` goes with a local program",
        "\"src\"",
        "files",
    );
    refused(&with(&format!("{NPM}\nnode = \"v22\""), ZONES), "no major version of Node.js", "\"v22\"", "node = \"22\"");
    let pypi = |python: &str| with(&format!("pypi = \"x\"\ncommand = [\"x\"]\npython = {python}"), ZONES);
    for bad in ["\"3\"", "\"3.11.2\"", "\"py313\"", "\"v3.13\"", "\"2.7\"", "\"3.\"", "\"3.013\"", "\"3.x\"", "313"] {
        refused(&pypi(bad), "is no minor version of Python 3", bad, "python = \"3.13\"");
    }
    // A number would lose the zero of 3.10.
    refused(&pypi("3.10"), "expected a string", "3.10", "quotes");
    refused(&with(&format!("{NPM}\npython = \"3.13\""), ZONES), "`python` goes with pypi", "\"3.13\"", "`node`");
    refused(
        &with("image = \"a:1\"\ncommand = [\"x\"]\npython = \"3.13\"", ZONES),
        "`python` goes with",
        "\"3.13\"",
        "",
    );
    for (minor, local) in [("3.9", false), ("3.13", true), ("3.14", false)] {
        let target = if local { "command = [\"python3\"]\ninclude = []" } else { "pypi = \"x\"\ncommand = [\"x\"]" };
        let scenario = read(&with(&format!("{target}\npython = \"{minor}\""), ZONES)).unwrap();
        assert_eq!(scenario.target.python.as_deref(), Some(minor));
    }
    // A program that every pod has is a target too, where the author says that it is meant.
    assert!(read(&with("command = [\"sh\", \"-c\", \"true\"]\ninclude = []", ZONES)).is_ok());
    assert!(read(&with("command = [\"/bin/sh\"]", ZONES)).is_ok());
}

#[test]
fn limits_that_do_not_parse() {
    for (key, bad, message) in [
        ("timeout", "\"60\"", "`60` is not a span of time"),
        ("timeout", "\"soon\"", "`soon` is not a span of time"),
        ("timeout", "\"0s\"", "out of bounds"),
        ("timeout", "\"25h\"", "out of bounds"),
        ("memory", "\"2\"", "`2` is not a size"),
        ("memory", "\"2 gigs\"", "`2 gigs` is not a size"),
        ("memory", "\"1MiB\"", "out of bounds"),
    ] {
        refused(&with(&format!("{NPM}\n{key} = {bad}"), ZONES), message, bad, "write a number and a unit");
    }
    refused(&with(&format!("{NPM}\nprocesses = 0"), ZONES), "processes is 0", "0", "");
    let good = read(&with(&format!("{NPM}\ntimeout = \"1m30s\"\nmemory = \"512MiB\"\nprocesses = 64"), ZONES)).unwrap();
    assert_eq!((good.target.timeout.as_secs(), good.target.limits.memory_bytes), (90, 512 << 20));
}

#[test]
fn variables_and_files_that_cannot_be() {
    let env = |env: &str| with(&format!("{NPM}\nenv = {{ {env} }}"), ZONES);
    refused(&env("\"A B\" = \"x\""), "`A B` is no name of a variable", "\"A B\"", "letters");
    refused(&env("A = \"x\\u0000y\""), "NUL", "\"x\\u0000y\"", "");
    refused(&env("TZ = \"UTC\""), "`TZ` is pinned here, and varied by the factor `timezone`", "TZ", "remove one");
    let files = |files: &str| with(&format!("{NPM}\nfiles = {{ {files} }}"), ZONES);
    refused(&files("\"../x\" = \"\""), "`../x` is no path for a file", "\"../x\"", "without `..`");
    refused(&files("\"/etc/../x\" = \"\""), "no path for a file", "\"/etc/../x\"", "without `..`");
    refused(&files("\"/proc/x\" = \"\""), "belongs to the pod", "\"/proc/x\"", "/proc");
    refused(&files("\"/etc\" = \"\""), "cannot be a file", "\"/etc\"", "");
    refused(&files("\"/etc/passwd/x\" = \"\""), "cannot be a file", "\"/etc/passwd/x\"", "");
    refused(&files("\"/home/dev\" = \"\""), "cannot be a file", "\"/home/dev\"", "");
    refused(&files("\"a\" = \"\", \"~/a\" = \"\""), "`a` is given twice", "\"~/a\"", "");
    refused(&files("\"a\" = \"\", \"a/b\" = \"\""), "cannot both be files", "\"a/b\"", "");
    refused(&files("\"/etc/timezone\" = \"\""), "varied by the factor `timezone`", "\"/etc/timezone\"", "remove one");
    let array = with(&format!("{NPM}\nfiles = [{{ path = \".x\", contents = \"y\" }}]"), ZONES);
    assert_eq!(read(&array).unwrap().target.files[0].path, ".x");
}

#[test]
fn nothing_to_vary() {
    refused(&with(NPM, ""), "there is nothing to vary", "\"x\"", "[factors.timezone]");
    refused(&with(NPM, "[factors]"), "there is nothing to vary", "\"x\"", "[factors.timezone]");
    refused(&with(NPM, "[factors.timezone]"), "the factor `timezone` has no levels", "timezone", "add levels");
    refused(&with(NPM, "[factors.timezone]\nlevels = []"), "`timezone` has no levels", "[]", "at least two");
    refused(&with(NPM, "[factors.timezone]\nlevels = [\"UTC\"]"), "has a single level", "[\"UTC\"]", "at least two");
    refused(
        &with(NPM, "[factors.proxy]\nlevels = [\"none\", { unset = true }]"),
        "listed twice",
        "{ unset = true }",
        "remove one",
    );
    refused(
        &with(NPM, "[factors.timezone]\nlevels = [\"UTC\", \"Asia/Tokyo\", \"UTC\"]"),
        "the level `UTC` is listed twice",
        "\"UTC\"",
        "remove one",
    );
}

#[test]
fn levels_that_cannot_be() {
    let levels =
        |factor: &str, level: &str| with(NPM, &format!("[factors.{factor}]\nvariable = \"U\"\nlevels = [{level}]"));
    let plain = |factor: &str, level: &str| levels(factor, level).replace("variable = \"U\"\n", "");
    refused(
        &plain("timezone", "\"UTC\", \"Asia/Tokio\""),
        "unknown time zone `Asia/Tokio`",
        "\"Asia/Tokio\"",
        "did you mean `Asia/Tokyo`",
    );
    refused(&plain("timezone", "\"UTC\", \"Kolkata\""), "unknown time zone", "\"Kolkata\"", "`Asia/Kolkata`");
    refused(
        &plain("timezone", "\"UTC\", \"timezones:all\""),
        "unknown time zone",
        "\"timezones:all\"",
        "without brackets",
    );
    refused(
        &plain("timezone", "\"UTC\", { unset = true }"),
        "timezone cannot be unset",
        "{ unset = true }",
        "time zone",
    );
    refused(&plain("hostname", "\"a\", \"a_b\""), "not a host name", "\"a_b\"", "hyphens");
    refused(&plain("hostname", "\"a\", { unset = true }"), "hostname cannot be unset", "{ unset = true }", "localhost");
    refused(&plain("user", "\"dev\", \"root\""), "`root` cannot be the account's name", "\"root\"", "unprivileged");
    refused(&plain("user", "\"dev\", \"a:b\""), "cannot be the account's name", "\"a:b\"", "letters");
    refused(&plain("machine_id", "\"none\", \"123\""), "not a machine id", "\"123\"", "32 hex digits");
    refused(&plain("home", "\"/home/a\", \"b\""), "`b` cannot be the home folder", "\"b\"", "/home/dev");
    refused(&plain("cwd", "\"/w\", \"w\""), "`w` cannot be the working folder", "\"w\"", "whole path");
    refused(&plain("cwd", "\"/w\", \"/w/../etc\""), "cannot be the working folder", "\"/w/../etc\"", "without `..`");
    refused(
        &plain("proxy", "\"none\", \"proxy:3128\""),
        "`proxy:3128` is not a URL",
        "\"proxy:3128\"",
        "write http://proxy:3128",
    );
    refused(&plain("proxy", "\"none\", \"ftp://p\""), "is not a URL", "\"ftp://p\"", "`socks5`");
    refused(
        &levels("base_url", "\"http://a\", \"a.example/v1\""),
        "is not a URL",
        "\"a.example/v1\"",
        "http://a.example/v1",
    );
    refused(&levels("base_url", "\"http://a\", \"http://a:port\""), "is not a URL", "\"http://a:port\"", "write a URL");
    refused(&plain("locale", "\"C\", \"german\""), "`german` is not a locale", "\"german\"", "ja_JP.UTF-8");
    refused(&plain("git", "\"none\", \"yes\""), "`yes` is no state", "\"yes\"", "`repository`");
    refused(&plain("ci", "\"none\", \"jenkins\""), "no CI service", "\"jenkins\"", "`github`");
    refused(&plain("appearance", "\"bare\", \"pretty\""), "no way to look that is known", "\"pretty\"", "`plausible`");
    refused(&plain("http_version", "\"1.1\", \"3\""), "no HTTP version to agree on", "\"3\"", "`2`");
    refused(&plain("timezone", "\"UTC\", \"UTC\\u0000\""), "NUL", "\"UTC\\u0000\"", "");
}

#[test]
fn factors_that_cannot_be() {
    let factor = |name: &str, keys: &str| with(NPM, &format!("[factors.{name}]\n{keys}\nlevels = [\"a\", \"b\"]"));
    refused(
        &factor("colour", ""),
        "`colour` is not a well-known factor, and has no `kind`",
        "colour",
        "kind = \"env\"",
    );
    refused(&factor("timezon", ""), "`timezon` is not a well-known factor", "timezon", "did you mean `timezone`?");
    refused(&factor("x", "kind = \"evn\""), "unknown kind of factor `evn`", "\"evn\"", "`env`");
    refused(&factor("x", "kind = \"weather\""), "unknown kind of factor `weather`", "\"weather\"", "`timezone`");
    refused(
        &factor("debug", "kind = \"env\""),
        "the factor `debug` has no `variable`",
        "\"env\"",
        "variable = \"DEBUG\"",
    );
    refused(&factor("x", "kind = \"file\""), "the factor `x` has no `path`", "\"file\"", "path = ");
    refused(&factor("x", "kind = \"file\"\npath = \"../a\""), "no path for a file", "\"../a\"", "without `..`");
    refused(&factor("x", "kind = \"env\"\nvariable = \"A-B\""), "no name of a variable", "\"A-B\"", "");
    refused(&factor("hostname", "variable = \"H\""), "`variable` means nothing", "\"H\"", "kind");
    refused(&factor("prompt", "kind = \"argument\""), "cannot be called `prompt`", "prompt", "{prompt}");
    refused(&factor("home", "kind = \"argument\""), "cannot be called `home`", "home", "{home}");
    refused(&factor("\"a b\"", "kind = \"argument\""), "`a b` is no name for a factor", "\"a b\"", "letters");
    refused(&factor("hostname", "baseline = \"c\""), "the baseline `c` is not a level", "\"c\"", "`levels`");
    let unused = "[factors.base_url]\nlevels = [\"http://a\", \"http://b\"]";
    refused(&with(NPM, unused), "nothing tells the agent of `base_url`", "base_url", "{base_url}");
    assert!(read(&with("npm = \"x\"\ncommand = [\"x\", \"{base_url}\"]", unused)).is_ok());
    assert!(read(&with(&format!("{NPM}\nenv = {{ U = \"{{base_url}}/v1\" }}"), unused)).is_ok());
    assert!(read(&with(&format!("{NPM}\nfiles = {{ c = \"{{base_url}}\" }}"), unused)).is_ok());
    let twice = format!("{ZONES}[factors.zone]\nkind = \"timezone\"\nlevels = [\"UTC\", \"Asia/Seoul\"]");
    refused(&with(NPM, &twice), "`timezone` and `zone` both decide the timezone", "zone", "remove one");
    let same = format!("{ZONES}[factors.z]\nkind = \"env\"\nvariable = \"TZ\"\nlevels = [\"a\", \"b\"]");
    refused(&with(NPM, &same), "both decide the variable TZ", "z", "remove one");
    let account = "[factors.user]\nlevels = [\"a\", \"b\"]\n[factors.home]\nlevels = [\"/a\", \"/b\"]\n[factors.shell]\nlevels = [\"/bin/a\", \"/bin/b\"]";
    assert!(read(&with(NPM, account)).is_ok());
    let program = "[factors.agent]\nkind = \"argument\"\nlevels = [\"a\", { unset = true }]";
    refused(&with("npm = \"x\"\ncommand = [\"{agent}\"]", program), "no program to run", "\"{agent}\"", "");
}

#[test]
fn sets_of_levels() {
    let zones = |levels: &str| with(NPM, &format!("[factors.timezone]\nlevels = {levels}"));
    refused(
        &zones("\"timezones:some\""),
        "no set of levels `timezones:some`",
        "\"timezones:some\"",
        "`timezones:cover`",
    );
    refused(&zones("\"UTC\""), "no set of levels `UTC`", "\"UTC\"", "in brackets");
    refused(&zones("\"hosts:nowhere.txt\""), "nowhere.txt", "\"hosts:nowhere.txt\"", "folder of the scenario");
    refused(&zones("\"locales:common\""), "unknown time zone", "\"locales:common\"", "");
    let all = read(&zones("\"timezones:all\"\nbaseline = \"Asia/Tokyo\"")).unwrap();
    assert_eq!(all.factors[0].levels[..2], [Level::set("Asia/Tokyo"), Level::set("UTC")]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("h.txt"), "a.example # bare\nhttps://b.example\n").unwrap();
    let text = with(NPM, "[factors.base_url]\nvariable = \"U\"\nlevels = \"hosts:h.txt\"");
    let hosts = parse(&text, "x.toml", folder.path(), &[]).unwrap();
    assert_eq!(hosts.factors[0].levels, [Level::set("http://a.example"), Level::set("https://b.example")]);
}

#[test]
fn designs_that_cannot_start() {
    let design = |keys: &str| format!("{GOOD}[design]\n{keys}");
    for (bad, message) in
        [("0.0", "alpha is 0"), ("0.5", "alpha is 0.5"), ("-1.0", "alpha is -1"), ("nan", "alpha is NaN")]
    {
        refused(&design(&format!("alpha = {bad}")), message, bad, "0.05");
    }
    refused(&design("strength = 0"), "strength is 0, and must be between 1 and 4", "0", "");
    refused(&design("strength = 5"), "strength is 5", "5", "");
    refused(&design("replicates = 1"), "replicates is 1", "1", "");
    refused(&design("budget = 8"), "a budget of 8 cells is too small to start", "8", "raise the budget");
    refused(&design("replicates = 400"), "a budget of 400 cells is too small", "400", "lower `replicates`");
    refused(&design("budget = -1"), "budget is -1", "-1", "");
    assert!(read(&design("budget = 9")).is_ok());
}

/// Three factors of 3, 2 and 2 levels, and `rest`.
fn three(rest: &str) -> String {
    let more = "[factors.proxy]\nlevels = [\"none\", \"http://p\"]\n[factors.user]\nlevels = [\"a\", \"b\"]\n";
    format!("{}{more}{rest}", GOOD.replace("\"UTC\", ", "\"UTC\", \"Asia/Seoul\", "))
}

#[test]
fn matrices_that_cannot_be_made() {
    let design = |keys: &str| three(&format!("[design]\n{keys}"));
    refused(
        &design("kind = \"covring\""),
        "unknown kind of design `covring`",
        "\"covring\"",
        "did you mean `covering`?",
    );
    refused(&design("kind = \"random\""), "unknown kind of design", "\"random\"", "`full_factorial` or `one_factor`");
    for kind in ["full_factorial", "one_factor"] {
        let message = format!("`strength` goes with a covering array, and the kind of this design is `{kind}`");
        refused(&design(&format!("kind = \"{kind}\"\nstrength = 2")), &message, "2", "leave it out");
        assert!(read(&design(&format!("kind = \"{kind}\""))).is_ok());
    }
    let both = design("kind = \"one_factor\"\nstronger = [{ factors = [\"user\", \"proxy\"], strength = 2 }]");
    refused(
        &both,
        "`stronger` goes with a covering array",
        "{ factors = [\"user\", \"proxy\"], strength = 2 }",
        "leave it",
    );
    // 12 cells, and 8 baselines of which one is among them.
    refused(
        &design("kind = \"full_factorial\"\nbudget = 18"),
        "has 12 cells, and with the replicates of the baseline 19: more than the budget of 18",
        "\"full_factorial\"",
        "kind = \"covering\"",
    );
    assert!(read(&design("kind = \"full_factorial\"\nbudget = 19")).is_ok());
    let fewer =
        "kind = \"full_factorial\"\nbudget = 18\n[[constraints]]\nforbid = { proxy = \"http://p\", user = \"b\" }";
    assert!(read(&design(fewer)).is_ok(), "nine cells are allowed");
    let broad = "[factors.timezone]\nlevels = \"timezones:all\"\n[factors.locale]\nlevels = \"locales:common\"\n\
                 [factors.user]\nlevels = [\"a\", \"b\"]\n[design]\nkind = \"full_factorial\"\nbudget = 10000";
    refused(&with(NPM, broad), "a full factorial of these factors has", "\"full_factorial\"", "raise the budget");
    refused(
        &design("kind = \"one_factor\"\nbudget = 11"),
        "every level alone and the baseline make 12 cells",
        "\"one_factor\"",
        "raise the budget",
    );
}

#[test]
fn higher_strengths_that_cannot_be() {
    let stronger = |factors: &str, strength: &str| {
        three(&format!("[[design.stronger]]\nfactors = {factors}\nstrength = {strength}"))
    };
    let all = "[\"timezone\", \"proxy\", \"user\"]";
    refused(&stronger("[\"timezone\", \"prox\", \"user\"]", "3"), "no factor `prox`", "\"prox\"", "`proxy`");
    refused(&stronger("[\"user\", \"user\", \"proxy\"]", "3"), "`user` is named twice", "\"user\"", "once");
    refused(&stronger("[\"user\", \"proxy\"]", "3"), "strength 3 over 2 factors", "[\"user\", \"proxy\"]", "lower");
    refused(&stronger("[]", "2"), "strength 2 over 0 factors", "[]", "at least as many");
    refused(&stronger(all, "1"), "strength is 1, and must be between 2 and 4", "1", "");
    refused(&stronger(all, "5"), "strength is 5", "5", "");
    let without = three("[[design.stronger]]\nfactors = [\"user\", \"proxy\"]");
    refused(&without, "the key `strength` is missing", "[[design.stronger]]", "add `strength`");
    refused(&three("[[design.stronger]]\nfactor = []\nstrength = 3"), "unknown key `factor`", "factor", "`factors`");
    let good = read(&stronger("[\"user\", \"timezone\", \"proxy\"]", "3")).unwrap();
    assert_eq!((good.matrix.stronger[0].factors.as_slice(), good.matrix.stronger[0].strength), (&[0, 1, 2][..], 3));
    // What is covered anyway need not be asked for.
    assert!(set(&stronger(all, "3"), &["design.strength=3"]).unwrap().matrix.stronger.is_empty());
    let zones = "[factors.timezone]\nlevels = \"timezones:all\"\n[factors.locale]\nlevels = \"locales:common\"\n";
    let hosts: Vec<String> = (0..700).map(|n| format!("\"http://h{n}\"")).collect();
    let hosts = format!("[factors.base_url]\nvariable = \"U\"\nlevels = [{}]\n", hosts.join(", "));
    let vast = with(NPM, &format!("{zones}{hosts}[design]\nstrength = 3"));
    refused(&vast, "combinations of levels to cover, and 8000000 can be", "3", "[[design.stronger]]");
}

#[test]
fn given_cells_that_cannot_be() {
    let given = |row: &str| three(&format!("[[design.given]]\n{row}\n"));
    refused(&given("timezon = \"UTC\""), "there is no factor `timezon`", "timezon", "did you mean `timezone`?");
    refused(
        &given("timezone = \"Asia/Seul\""),
        "`Asia/Seul` is not a level of `timezone`",
        "\"Asia/Seul\"",
        "did you mean `Asia/Seoul`?",
    );
    refused(&given("proxy = [\"none\"]"), "expected a level", "[\"none\"]", "");
    refused(&given("proxy = \"none\""), "the given cell is the baseline", "[[design.given]]", "another level");
    refused(&given(""), "the given cell is the baseline", "[[design.given]]", "another level");
    let twice = three("[[design.given]]\nuser = \"b\"\n[[design.given]]\nuser = \"b\"\nproxy = \"none\"");
    refused(&twice, "this cell is given twice", "[[design.given]]", "remove one");
    let forbidden = format!("{}[[constraints]]\nforbid = {{ user = \"b\" }}", given("user = \"b\""));
    refused(&forbidden, "the given cell is forbidden by a constraint", "[[design.given]]", "narrow the constraint");
    let many = three("[design]\nbudget = 9\n[[design.given]]\nuser = \"b\"\n[[design.given]]\nproxy = \"http://p\"");
    refused(&many, "2 given cells and 8 replicates", "[[design.given]]", "raise the budget");
    let good = read(&given("timezone = \"Asia/Tokyo\"\nproxy = \"http://p\"")).unwrap();
    assert_eq!(good.matrix.given[0].0, [2, 1, 0]);
    let unset =
        with(NPM, "[factors.ci]\nlevels = [\"github\", { unset = true }]\n[[design.given]]\nci = { unset = true }");
    assert_eq!(read(&unset).unwrap().matrix.given[0].0, [1]);
}

#[test]
fn a_plain_matrix_leaves_no_trace_in_a_manifest_and_another_does() {
    let plain = read(&three("")).unwrap();
    let text = serde_json::to_string(&plain).unwrap();
    assert!(!text.contains("matrix"), "{text}");
    assert_eq!(serde_json::from_str::<Scenario>(&text).unwrap().matrix, plain.matrix);
    let full = read(&three("[design]\nkind = \"full_factorial\"")).unwrap();
    assert_ne!(plain.digest(), full.digest());
    assert_eq!((plain.design.minimum_rows, full.design.minimum_rows), (64, 0));
    let text = serde_json::to_string(&full).unwrap();
    assert_eq!(serde_json::from_str::<Scenario>(&text).unwrap().matrix, full.matrix);
}

#[test]
fn constraints_and_disclosures() {
    let forbid = |forbid: &str| {
        format!("{GOOD}[factors.proxy]\nlevels = [\"none\", \"http://p\"]\n[[constraints]]\nforbid = {forbid}")
    };
    refused(&forbid("{ timezon = \"UTC\" }"), "there is no factor `timezon`", "timezon", "`timezone`");
    refused(
        &forbid("{ timezone = \"Asia/Seoul\" }"),
        "`Asia/Seoul` is not a level of `timezone`",
        "\"Asia/Seoul\"",
        "",
    );
    refused(
        &forbid("{ timezone = [\"UTC\", \"asia/tokyo\"] }"),
        "`asia/tokyo` is not a level",
        "\"asia/tokyo\"",
        "`Asia/Tokyo`",
    );
    refused(
        &forbid("{ proxy = \"none\" }"),
        "the constraint forbids the baseline",
        "{ proxy = \"none\" }",
        "another one",
    );
    refused(
        &forbid("{ timezone = [\"UTC\", \"Asia/Tokyo\"], proxy = { unset = true } }"),
        "forbids the baseline",
        "{ timezone = [\"UTC\", \"Asia/Tokyo\"], proxy = { unset = true } }",
        "",
    );
    refused(&forbid("{}"), "the constraint forbids nothing", "{}", "forbid = {");
    refused(&forbid("{ timezone = [] }"), "names no level of `timezone`", "timezone", "");
    let good = read(&forbid("{ proxy = \"http://p\", timezone = [\"Asia/Tokyo\"] }")).unwrap();
    assert_eq!(good.forbidden[0].when, [(0, vec![1]), (1, vec![1])]);
    let moved = format!(
        "{}\n[factors.timezone]\nlevels = [\"UTC\", \"Asia/Tokyo\"]\nbaseline = \"Asia/Tokyo\"\n[[constraints]]\nforbid = {{ timezone = \"Asia/Tokyo\" }}",
        with(NPM, "")
    );
    refused(&moved, "forbids the baseline", "{ timezone = \"Asia/Tokyo\" }", "");
    let disclosed = format!("{GOOD}[[disclosed]]\nfactors = [\"zone\"]\nplace = \"*\"\nsays = \"x\"");
    refused(&disclosed, "there is no factor `zone`", "\"zone\"", "this scenario's factors");
    let silent = format!("{GOOD}[[disclosed]]\nfactors = [\"timezone\"]\nplace = \"*date*\"\nsays = \"\"");
    refused(&silent, "the disclosure's `says` is empty", "\"\"", "");
}

#[test]
fn stubs() {
    let stub = |stub: &str| format!("{GOOD}[stub]\n{stub}");
    refused(&stub("script = []"), "the script has no turns", "[]", "script = [");
    refused(&stub("script = [{}]"), "a turn is a text or a call of a tool", "{}", "write {");
    refused(
        &stub("script = [{ text = \"a\", tool = \"b\" }]"),
        "a turn is a text or",
        "{ text = \"a\", tool = \"b\" }",
        "",
    );
    refused(&stub("[[stub.answers]]\npath = \"x\""), "a path begins with `/`", "\"x\"", "");
    refused(&stub("[[stub.answers]]\npath = \"/x\"\nstatus = 99"), "status is 99", "99", "");
    let good = read(&stub("script = [{ tool = \"Read\", input = { z = 1, a = [true, 1.5, \"x\"] } }]\n[[stub.answers]]\nhost = \"h\"\npath = \"/x/*\"\njson = { id = \"1\" }")).unwrap();
    // Keys stay as they were written: an agent may show them, or hash them.
    assert_eq!(
        serde_json::to_string(&good.stub.script).unwrap(),
        r#"[{"tool":{"name":"Read","input":{"z":1,"a":[true,1.5,"x"]}}}]"#
    );
    assert_eq!((good.stub.answers[0].status, good.stub.answers[0].host.as_deref()), (200, Some("h")));

    refused(&stub("script = [{ error = 200 }]"), "error is 200", "200", "");
    refused(&stub("script = [{ text = \"x\" }, { cut = true }]"), "nothing is left to be cut", "{ cut = true }", "");
    refused(&stub("script = [{ cut = false }]"), "a turn is a text or", "{ cut = false }", "");
    refused(&stub("websocket = \"acept\""), "`acept` is nothing that can become", "\"acept\"", "did you mean");
    refused(&stub("tools = { bash = 3 }"), "a tool has a name", "3", "write bash");
    refused(&stub("tools = { bash = { input = {} } }"), "a tool has a name", "{ input = {} }", "");
    let text = "script = [{ error = 529 }, { tool = \"bash\", input = { command = \"ls\" } }, { cut = true }, { text = \"x\" }]\nwebsocket = \"accept\"\n[stub.tools.bash]\nname = \"shell\"\ninput = { command = [\"bash\", \"-lc\", \"{command}\"] }";
    let led = read(&stub(text)).unwrap().stub;
    assert_eq!(
        serde_json::to_string(&led.script).unwrap(),
        r#"[{"error":{"status":529}},{"tool":{"name":"shell","input":{"command":["bash","-lc","ls"]}}},"cut",{"text":"x"}]"#
    );
    assert!(led.websocket && !good.stub.websocket);
}

#[test]
fn factors_keep_their_order_and_the_baseline_comes_first() {
    let text = with(
        NPM,
        "[factors.user]\nlevels = [\"a\", \"b\", \"c\"]\nbaseline = \"c\"\n[factors.locale]\nlevels = [\"C\", \"POSIX\"]\n[factors.git]\nlevels = [\"none\", \"repository\"]",
    );
    let scenario = read(&text).unwrap();
    let names: Vec<&str> = scenario.factors.iter().map(|factor| factor.name.as_str()).collect();
    assert_eq!(names, ["user", "locale", "git"]);
    assert_eq!(scenario.factors[0].levels, [Level::set("c"), Level::set("a"), Level::set("b")]);
    assert_eq!(scenario.factors[2].levels, [Level(None), Level::set("repository")]);
}

#[test]
fn settings_change_the_document_before_it_is_checked() {
    let scenario =
        set(GOOD, &["target.version=2.1.91", "design.budget=99", "factors.user.levels=[\"a\", \"b\"]"]).unwrap();
    assert_eq!(scenario.design.budget, 99);
    assert!(format!("{:?}", scenario.target.source).contains("2.1.91"));
    assert_eq!(scenario.factors[1].name, "user");
    let argument = "factors.timezone.levels=[\"UTC\", \"Asia/Tokio\"]";
    let error = set(GOOD, &[argument]).expect_err("a refusal");
    same(&error, &format!("(in the argument --set {argument})"), "\"Asia/Tokio\"", "`Asia/Tokyo`");
    let error = set(GOOD, &["name=y", "desing.budget=5"]).expect_err("a refusal");
    same(&error, "unknown key `desing` (in the argument --set desing.budget=5)", "desing", "`design`");
    let error = set(GOOD, &["design.budget=many"]).expect_err("a refusal");
    same(&error, "expected a whole number, found string \"many\"", "many", "");
    let error = set(GOOD, &["budget"]).expect_err("a refusal");
    same(&error, "`budget` is not a setting", "budget", "KEY=VALUE");
    let error = set(GOOD, &["target.command.x=1"]).expect_err("a refusal");
    same(&error, "`command` is an array", "command", "command=[…]");
}

#[test]
fn all_refusals_are_told_at_once_in_the_order_of_their_places() {
    let text = with(
        &format!("{NPM}\ntimeout = \"soon\""),
        "[factors.timezone]\nlevels = [\"UTC\", \"Nowhere/Land\"]\n[design]\nbudget = 1",
    );
    let error = read(&text).expect_err("a refusal");
    let others: Vec<Option<&str>> = error.others().iter().map(ScenarioError::underlined).collect();
    assert_eq!((error.underlined(), others), (Some("\"soon\""), vec![Some("\"Nowhere/Land\""), Some("1")]));
}

#[test]
fn a_file_that_cannot_be_read() {
    let error = load(Path::new("scenarios/nowhere.toml"), &[]).expect_err("a refusal");
    assert!(
        error.to_string().starts_with("the scenario scenarios/nowhere.toml cannot be read: No such file"),
        "{error}"
    );
    assert!(error.help().is_some() && error.source_code().is_none());
}

#[test]
fn no_text_makes_it_panic() {
    // Every prefix of a full scenario, and every line of it left out.
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/claude-code.toml")).unwrap();
    for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
        if let Err(error) = read(&text[..end]) {
            render(&error);
        }
    }
    let lines: Vec<&str> = text.lines().collect();
    for left_out in 0..lines.len() {
        let rest: Vec<&str> =
            lines.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, line)| *line).collect();
        if let Err(error) = read(&rest.join("\n")) {
            render(&error);
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_setting_makes_it_panic(argument in "\\PC{0,40}", key in "(name|target|factors|design|stub)(\\.[a-zé\"]{1,6}){0,3}", value in "[\\PC\n]{0,12}") {
        for argument in [argument, format!("{key}={value}")] {
            if let Err(error) = set(GOOD, &[&argument]) {
                render(&error);
            }
        }
    }
}

#[test]
fn the_scenarios_of_this_project_are_good() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let scenario = load(&folder.join("claude-code.toml"), &[]).unwrap_or_else(|error| panic!("{}", render(&error)));
    let levels: Vec<(&str, usize)> =
        scenario.factors.iter().map(|factor| (factor.name.as_str(), factor.levels.len())).collect();
    assert_eq!(levels, [("timezone", 8), ("base_url", 5), ("proxy", 2), ("locale", 4), ("hostname", 3), ("user", 3)]);
    assert_eq!((scenario.design.budget, scenario.design.strength), (250, 2));
    assert_eq!(scenario.urls_ports(), [3128]);
    assert_eq!(scenario.target.env.len(), 1);
}

#[test]
fn the_schema_beside_the_scenarios_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/scenario.schema.json");
    let current = format!("{}\n", serde_json::to_string_pretty(&json_schema()).unwrap());
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(&path, &current).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == current, "write it anew: parallax schema > scenarios/scenario.schema.json");
}

/// As a terminal of 100 columns shows it, without colours.
fn render(error: &ScenarioError) -> String {
    let mut out = String::new();
    let handler =
        GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100).with_links(false);
    handler.render_report(&mut out, error).expect("text can be written to");
    out
}

#[test]
fn what_a_terminal_shows() {
    let zone = with(NPM, "[factors.timezone]\nlevels = [\n    \"UTC\",\n    \"Asia/Tokio\", # a slip\n]");
    insta::assert_snapshot!("unknown_zone", render(&read(&zone).expect_err("a refusal")));
    let twice = with(NPM, "[factors.timezone]\nlevels = [\"UTC\", \"Asia/Tokyo\", \"UTC\"]");
    insta::assert_snapshot!("level_twice", render(&read(&twice).expect_err("a refusal")));
    insta::assert_snapshot!("nothing_to_vary", render(&read(&with(NPM, "")).expect_err("a refusal")));
    let key = with(&format!("{NPM}\ntimout = \"60s\""), ZONES);
    insta::assert_snapshot!("unknown_key", render(&read(&key).expect_err("a refusal")));
    let several =
        with("npm = \"x\"\ncommand = []\nmemory = \"lots\"", "[factors.clock]\nlevels = [\"now\", \"tomorrow\"]");
    insta::assert_snapshot!("several", render(&read(&several).expect_err("a refusal")));
    let setting = set(GOOD, &["factors.timezone.levels=[\"UTC\", \"Berlin\"]"]).expect_err("a refusal");
    insta::assert_snapshot!("setting", render(&setting));
    insta::assert_snapshot!("syntax", render(&read("name = \"x\"\n[target\nnpm = 1\n").expect_err("a refusal")));
}
