//! **Certify and verify**, through the compiled program: what a run showed, signed; checked by an implementation that is not
//! ours; and every way of tampering with it that is known here, refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod program;

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use parallax::attestation::envelope::Envelope;
use parallax::attestation::key::SigningKey;
use program::{code, json, missing, parallax, shown, text, toy_run};
use serde_json::{Value, json};

/// A place with a key pair, a run with findings, and its innocent twin's.
struct Case {
    place: tempfile::TempDir,
    run: PathBuf,
}

impl Case {
    fn new(scenario: &str) -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let run = toy_run(scenario, 1, place.path())?;
        let output = parallax(&["keygen", "--out", &text(&place.path().join("key"))]);
        assert_eq!(code(&output), 0, "{}", shown(&output));
        Some(Self { place, run })
    }

    fn path(&self, name: &str) -> String {
        text(&self.place.path().join(name))
    }

    fn written(&self, name: &str, contents: &str) -> String {
        std::fs::write(self.place.path().join(name), contents).unwrap();
        self.path(name)
    }

    /// Certifies the run; gives the envelope and the exit code.
    fn certify(&self, out: &str, more: &[&str]) -> (String, i32) {
        let (run, key, out) = (text(&self.run), self.path("key.key"), self.path(out));
        let output = parallax(&[&["certify", &run, "--key", &key, "--out", &out][..], more].concat());
        assert!(Path::new(&out).is_file(), "{}", shown(&output));
        (out, code(&output))
    }

    fn verify(&self, envelope: &str, more: &[&str]) -> (i32, String) {
        let key = self.path("key.pub");
        let output = parallax(&[&["verify", envelope, "--key", &key][..], more].concat());
        (code(&output), shown(&output))
    }

    #[track_caller]
    fn refused(&self, envelope: &str, more: &[&str], why: &str) {
        let (code, said) = self.verify(envelope, more);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(why) && said.contains("not verified"), "{why:?} is not in {said}");
    }

    /// The statement changed, and signed again with the same key: what a signer could do who is not honest.
    fn signed_again(&self, envelope: &str, name: &str, change: impl FnOnce(&mut Value)) -> String {
        let mut statement = statement(envelope);
        change(&mut statement);
        let key = SigningKey::from_pem(&std::fs::read_to_string(self.path("key.key")).unwrap()).unwrap();
        let sealed = Envelope::sign(&serde_json::to_vec(&statement).unwrap(), &key).unwrap();
        let path = self.place.path().join(name);
        std::fs::write(&path, sealed.to_json()).unwrap();
        text(&path)
    }
}

fn statement(envelope: &str) -> Value {
    let payload = json(Path::new(envelope))["payload"].as_str().unwrap().to_owned();
    serde_json::from_slice(&STANDARD.decode(payload).unwrap()).unwrap()
}

fn entry<'a>(statement: &'a mut Value, name: &str) -> &'a mut Value {
    let entries = statement["predicate"]["configuration"].as_array_mut().unwrap();
    entries.iter_mut().find(|entry| entry["name"] == name).unwrap()
}

const ANY: &str = "schema_version = 1\naccept = [\"passed\", \"warned\", \"failed\"]\n";

#[test]
fn a_run_with_open_findings_is_failed_and_with_disclosures_warned() {
    let Some(case) = Case::new("quickstart") else { return };
    let (failed, exit) = case.certify("failed.json", &[]);
    assert_eq!(exit, 1);
    let predicate = &statement(&failed)["predicate"];
    assert_eq!(predicate["result"], "FAILED");
    let tests = |list: &str| -> Vec<String> { serde_json::from_value(predicate[list].clone()).unwrap() };
    for test in ["body/timezone*base_url", "body/timezone", "body/locale", "body/region", "body/hostname"] {
        assert!(tests("failedTests").contains(&test.to_owned()), "{predicate:#}");
        assert!(!tests("passedTests").contains(&test.to_owned()), "{predicate:#}");
    }
    // No secure connection was made, so nothing is said of any.
    assert!(tests("passedTests").contains(&String::from("body/proxy")));
    assert!(!tests("passedTests").iter().any(|test| test.starts_with("tls/")), "{predicate:#}");
    case.refused(&failed, &[], "result is FAILED");
    let any = case.written("any.toml", ANY);
    let (code, said) = case.verify(&failed, &["--policy", &any, "--run", &text(&case.run)]);
    assert_eq!(code, 0, "{said}");

    let draft = case.path("draft.toml");
    assert_eq!(program::code(&parallax(&["disclose", &text(&case.run), "--out", &draft])), 0);
    let claim = case.path("claim.json");
    let (warned, exit) = case.certify("warned.json", &["--disclosures", &draft, "--claim", &claim]);
    assert_eq!((exit, &statement(&warned)["predicate"]["result"]), (3, &json!("WARNED")));
    assert_eq!(statement(&warned)["predicate"]["failedTests"], json!([]));
    case.refused(&warned, &[], "result is WARNED");
    let open = case.written("warned.toml", "schema_version = 1\naccept = [\"passed\", \"warned\"]\n");
    for envelope in [&warned, &claim] {
        let (code, said) = case.verify(envelope, &["--policy", &open, "--run", &text(&case.run)]);
        assert_eq!(code, 0, "{said}");
    }
    assert_eq!(statement(&claim)["predicate"]["attributes"][0]["attribute"], "ENV_DISCLOSED_OUTBOUND_PROMPT");
    let strict = case.written(
        "strict.toml",
        "schema_version = 1\naccept = [\"passed\", \"warned\"]\nrefuse = [\"covert\"]\nleast_strength = 3\n\
         detectable_rate = 0.5\nleast_replicates = 100\nmost_alpha = 0.01\nleast_power = 0.99\n\
         [factors.user]\n[factors.timezone]\nlevels = [\"UTC\", \"Asia/Seoul\"]\n",
    );
    for why in [
        "of a class that is refused",
        "the strength is 2, and 3 is demanded",
        "smallest detectable rate",
        "number of replicates",
        "alpha is 0.05",
        "the power is 0.95",
        "the factor user was not varied",
        "never had the level Asia/Seoul",
    ] {
        case.refused(&warned, &["--policy", &strict], why);
    }
    // What was disclosed stands in the envelope: another run of the same, judged by the same, is another run.
    let other = toy_run("quickstart", 2, case.place.path()).unwrap();
    case.refused(&warned, &["--policy", &open, "--run", &text(&other)], "configuration[plan]");

    let badge = parallax(&["badge", &warned, "--key", &case.path("key.pub")]);
    assert!(shown(&badge).starts_with("<svg ") && shown(&badge).contains("warned · 6 factors"), "{}", shown(&badge));
    assert!(shown(&parallax(&["badge", &text(&case.run)])).contains("conditioned · 6 factors"));
    assert_eq!(program::code(&parallax(&["badge", &warned])), 2, "nothing is drawn that is not signed");
}

#[test]
fn the_innocent_twin_passes_and_what_was_not_tested_does_not() {
    let Some(case) = Case::new("innocent") else { return };
    let (passed, exit) = case.certify("passed.json", &[]);
    assert_eq!(exit, 0);
    let (code, said) = case.verify(&passed, &["--run", &text(&case.run)]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("PASSED") && said.contains("verified"), "{said}");
    let agent = statement(&passed)["subject"][0]["digest"]["sha256"].as_str().unwrap().to_owned();
    assert_eq!(case.verify(&passed, &["--subject", &agent]).0, 0);
    let agent_file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios/toy/innocent.sh");
    assert_eq!(case.verify(&passed, &["--subject", &text(&agent_file)]).0, 0);
    case.refused(&passed, &["--subject", &case.path("key.pub")], "no subject has its digest");
    // A disclosure of something that the run never shows is no pass.
    let idle = case.written(
        "idle.toml",
        "schema_version = 1\n[[disclosed]]\nfactors = [\"locale\"]\nplace = \"*never there*\"\nsays = \"so\"\n",
    );
    let (warned, exit) = case.certify("idle.json", &["--disclosures", &idle]);
    assert_eq!((exit, &statement(&warned)["predicate"]["result"]), (3, &json!("WARNED")));

    // Tampering with a statement that would have been accepted.
    let sealed = std::fs::read(&passed).unwrap();
    for at in (0..sealed.len()).step_by(sealed.len() / 12) {
        let mut flipped = sealed.clone();
        flipped[at] ^= 4;
        let path = case.place.path().join("flipped.json");
        std::fs::write(&path, flipped).unwrap();
        let (code, said) = case.verify(&text(&path), &[]);
        assert_eq!(code, 1, "byte {at}: {said}");
    }
    let other_key = case.path("other");
    parallax(&["keygen", "--out", &other_key]);
    let output = parallax(&["verify", &passed, "--key", &case.path("other.pub")]);
    assert_eq!((program::code(&output), shown(&output).contains("no signature")), (1, true), "{}", shown(&output));
    tampered(&case, &passed);
}

fn tampered(case: &Case, passed: &str) {
    let run = text(&case.run);
    let subject = case.signed_again(passed, "subject.json", |statement| {
        statement["subject"][0]["digest"]["sha256"] = json!("00".repeat(32));
    });
    case.refused(&subject, &["--run", &run], "statement.subject");
    let about = case.written("about.toml", "schema_version = 1\nsubject = \"pkg:npm/other@1.0.0\"\n");
    case.refused(passed, &["--policy", &about], "it is not about pkg:npm/other@1.0.0");

    let plan = case.signed_again(passed, "plan.json", |statement| {
        entry(statement, "plan")["digest"]["sha256"] = json!("00".repeat(32));
    });
    case.refused(&plan, &["--run", &run], "configuration[plan].digest");

    let predicate = case.signed_again(passed, "predicate.json", |statement| {
        statement["predicateType"] = json!("https://example.com/all-is-well/v1");
    });
    case.refused(&predicate, &[], "is not known here");
    let kind = case.signed_again(passed, "kind.json", |statement| statement["_type"] = json!("x"));
    case.refused(&kind, &[], "its type is");

    // An old statement is as genuine as ever, and too old where that is asked.
    let old = case.signed_again(passed, "old.json", |statement| {
        entry(statement, "conditions")["annotations"]["observed"] = json!("2020-01-01T00:00:00Z");
    });
    let fresh = case.written("fresh.toml", "schema_version = 1\nmax_age = \"30d\"\n");
    assert_eq!(case.verify(passed, &["--policy", &fresh]).0, 0);
    assert_eq!(case.verify(&old, &[]).0, 0, "without a policy any age will do");
    case.refused(&old, &["--policy", &fresh], "days old");
    let ahead = case.signed_again(passed, "ahead.json", |statement| {
        entry(statement, "conditions")["annotations"]["observed"] = json!("2999-01-01T00:00:00Z");
    });
    case.refused(&ahead, &["--policy", &fresh], "in the future");

    // A test that is taken away is missed; one that was never run and is said to have passed shows with the run.
    let fewer = case.signed_again(passed, "fewer.json", |statement| {
        statement["predicate"]["passedTests"].as_array_mut().unwrap().pop();
    });
    case.refused(&fewer, &[], "is in no list");
    let more = case.signed_again(passed, "more.json", |statement| {
        let untested = entry(statement, "conditions")["annotations"]["untested"].as_array_mut().unwrap().pop().unwrap();
        statement["predicate"]["passedTests"].as_array_mut().unwrap().push(untested);
    });
    assert_eq!(case.verify(&more, &[]).0, 0, "only the run can tell");
    case.refused(&more, &["--run", &run], "passedTests");

    // A run whose records were changed gives nothing.
    let cut = case.place.path().join("cut");
    assert!(Command::new("cp").arg("-r").arg(&case.run).arg(&cut).status().unwrap().success());
    let records = cut.join("cells.jsonl.zst");
    let bytes = std::fs::read(&records).unwrap();
    std::fs::write(&records, &bytes[..bytes.len() / 2]).unwrap();
    case.refused(passed, &["--run", &text(&cut)], "the run does not give it");
}

#[test]
fn a_failed_test_cannot_be_taken_away() {
    let Some(case) = Case::new("quickstart") else { return };
    let (failed, _) = case.certify("failed.json", &[]);
    let any = case.written("any.toml", ANY);
    let removed = case.signed_again(&failed, "removed.json", |statement| {
        statement["predicate"]["failedTests"] = json!([]);
        statement["predicate"]["result"] = json!("PASSED");
    });
    case.refused(&removed, &["--policy", &any], "is in no list");
    case.refused(&removed, &["--policy", &any], "failed tests are not those");
    // Hidden in every part that the statement itself has: the run still tells.
    let hidden = case.signed_again(&failed, "hidden.json", |statement| {
        let failed = statement["predicate"]["failedTests"].take();
        statement["predicate"]["failedTests"] = json!([]);
        statement["predicate"]["passedTests"]
            .as_array_mut()
            .unwrap()
            .extend(failed.as_array().unwrap().iter().cloned());
        statement["predicate"]["result"] = json!("PASSED");
        let dependences = entry(statement, "conditions")["annotations"]["dependences"].as_array_mut().unwrap();
        dependences.retain(|dependence| dependence["standing"] != "open");
    });
    assert_eq!(case.verify(&hidden, &[]).0, 0);
    case.refused(&hidden, &["--run", &text(&case.run)], "predicate.failedTests");
    case.refused(&hidden, &["--run", &text(&case.run)], "predicate.result");
}

#[test]
fn others_verify_what_we_sign() {
    let Some(python) = python() else { return };
    let Some(case) = Case::new("innocent") else { return };
    let claim = case.path("claim.json");
    let (result, _) = case.certify("result.json", &["--claim", &claim]);
    // A key on P-256, as other signing tools make them.
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let (private, public) =
        (case.written("p256.key", &pair.serialize_pem()), case.written("p256.pub", &pair.public_key_pem()));
    let ecdsa = case.path("ecdsa.json");
    let output = parallax(&["certify", &text(&case.run), "--key", &private, "--out", &ecdsa]);
    assert_eq!(code(&output), 0, "{}", shown(&output));
    assert_eq!(code(&parallax(&["verify", &ecdsa, "--key", &public])), 0);

    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/verify_envelope.py");
    let theirs = |envelope: &str, key: &str| {
        let output = Command::new(&python).arg(&script).args([envelope, key]).output().unwrap();
        (output.status.success(), shown(&output))
    };
    let own = case.path("key.pub");
    for (envelope, key, result) in
        [(&result, &own, "PASSED"), (&claim, &own, "ENV_INVARIANT_OUTBOUND_PROMPT"), (&ecdsa, &public, "PASSED")]
    {
        let (good, said) = theirs(envelope, key);
        assert!(good, "{said}");
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["result"], result);
        assert_eq!(said["digests"][0], statement(envelope)["subject"][0]["digest"]);
    }
    let (good, said) = theirs(&result, &public);
    assert!(!good, "another key: {said}");
    let mut flipped = json(Path::new(&result));
    flipped["payload"] = json!(flipped["payload"].as_str().unwrap().replacen('e', "f", 1));
    let (good, said) = theirs(&case.written("flipped.json", &flipped.to_string()), &own);
    assert!(!good, "a flipped byte: {said}");
}

/// A Python that has the other implementations, or `None`, having said why.
fn python() -> Option<PathBuf> {
    let venv = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("attestation-venv");
    let python = venv.join("bin/python3");
    let has = || {
        let modules = "import securesystemslib, cryptography, in_toto_attestation";
        Command::new(&python).args(["-c", modules]).output().is_ok_and(|output| output.status.success())
    };
    if has() {
        return Some(python);
    }
    let made = Command::new("python3").args(["-m", "venv", &text(&venv)]).output();
    if !made.as_ref().is_ok_and(|output| output.status.success()) {
        missing("pip", "python3 makes no virtual environment");
        return None;
    }
    let packages = ["securesystemslib==1.6.0", "in-toto-attestation==0.9.3", "cryptography"];
    let pip = Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages).output();
    if !has() {
        let why = pip.map_or_else(|error| error.to_string(), |output| shown(&output));
        missing("pip", why.lines().last().unwrap_or("it installs nothing"));
        return None;
    }
    Some(python)
}

#[test]
fn keys_and_envelopes_that_cannot_be_used_are_2_and_say_why() {
    let place = tempfile::tempdir().unwrap();
    let key = text(&place.path().join("key"));
    assert_eq!(code(&parallax(&["keygen", "--out", &key])), 0);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(format!("{key}.key")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let (private, public) = (format!("{key}.key"), format!("{key}.pub"));
    let before = std::fs::read(&private).unwrap();
    for (arguments, why) in [
        (&["keygen", "--out", &key][..], "is there already"),
        (&["certify", "nowhere", "--key", &public, "--out", "x"], "private one"),
        (&["certify", "nowhere", "--key", &private, "--out", &public], "is there already"),
        (&["verify", "nowhere.json", "--key", &public], "cannot be read"),
        (&["verify", &public, "--key", &private], "public one"),
        (&["verify", &public, "--key", &public, "--policy", &public], "is refused"),
        (&["badge", &public], "--key"),
    ] {
        let output = parallax(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", shown(&output));
        assert!(shown(&output).contains(why), "{arguments:?}: {}", shown(&output));
    }
    assert_eq!(std::fs::read(&private).unwrap(), before, "a key is never written over");
    let output = parallax(&["verify", &public, "--key", &public]);
    assert_eq!((code(&output), shown(&output).contains("no DSSE envelope")), (1, true), "{}", shown(&output));
}
