//! **Levels** that an agent repeats, in every form: an echo, with nothing left over; and a mark beside an echo.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use parallax::capture::Capture;
use parallax::feature::FeatureKind;
use parallax::finding::Class::{Covert, Overt};
use sha2::Digest as _;

use crate::check::{mark, quiet, say, send};
use crate::lab::*;

fn sha(text: &str) -> String {
    hex::encode(sha2::Sha256::digest(text.as_bytes()))
}

fn encoded(text: &str) -> String {
    // As JavaScript's encodeURIComponent.
    text.bytes().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&b) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "%{b:02X}");
        }
        out
    })
}

fn capitalised(text: &str) -> String {
    text[..1].to_uppercase() + &text[1..]
}

/// An agent that repeats a level in some form: an echo of this factor, and nothing else.
fn echoed(what: &str, factor: usize, form: impl Fn(&Run) -> String) {
    let agents: [&dyn Fn(&mut Run) -> Capture; 2] = [
        &|run| {
            let (form, id) = (form(run), run.uuid());
            say(run, &format!("head\nWe are at {form} now, run {id}.\ntail"))
        },
        &|run| {
            let form = form(run);
            send(run, &json(&serde_json::json!({"where": form, "x": 1})))
        },
    ];
    for agent in agents {
        quiet(what, agent);
        let extracted = extract(&runs(41, 8, 56, agent));
        let told = extracted.varying();
        assert!(told.iter().any(|(_, known)| known.kind == FeatureKind::Echo { factor }), "{what}: {told:#?}");
    }
}

#[test]
fn a_level_is_an_echo_in_every_form() {
    let host = |run: &Run| run.level(HOSTNAME, &HOSTNAMES).to_owned();
    let user = |run: &Run| run.level(USER, &USERS).to_owned();
    let url = |run: &Run| run.level(BASE_URL, &URLS).to_owned();
    echoed("raw", HOSTNAME, host);
    echoed("upper case", HOSTNAME, |run| host(run).to_uppercase());
    echoed("capitalised", USER, |run| capitalised(&user(run)));
    echoed("home", USER, |run| format!("/home/{}/work", user(run)));
    echoed("url", BASE_URL, url);
    echoed("url with a path", BASE_URL, |run| url(run) + "/v1/messages");
    echoed("url-encoded", BASE_URL, |run| encoded(&url(run)));
    echoed("url-encoded in lower case", BASE_URL, |run| encoded(&url(run)).replace("%3A", "%3a").replace("%2F", "%2f"));
    echoed("host of a url", BASE_URL, |run| url::Url::parse(&url(run)).unwrap().host_str().unwrap().to_owned());
    echoed("base64", BASE_URL, |run| STANDARD.encode(url(run)));
    echoed("unpadded base64", BASE_URL, |run| STANDARD_NO_PAD.encode(url(run)));
    echoed("url-safe base64", BASE_URL, |run| URL_SAFE_NO_PAD.encode(url(run)));
    echoed("hex", HOSTNAME, |run| hex::encode(host(run)));
    echoed("sha-256", HOSTNAME, |run| sha(&host(run)));
    echoed("upper-case sha-256", HOSTNAME, |run| sha(&host(run)).to_uppercase());
    for length in [8, 12, 16, 40] {
        echoed("prefix of sha-256", BASE_URL, |run| sha(&url(run))[..length].to_owned());
    }
    echoed("sha-256 in base64", HOSTNAME, |run| STANDARD.encode(sha2::Sha256::digest(host(run))));
}

#[test]
fn a_zone_is_an_echo_in_every_form() {
    let zone = |run: &Run| run.level(TIMEZONE, &ZONES).to_owned();
    echoed("raw", TIMEZONE, zone);
    echoed("base name", TIMEZONE, |run| zone(run).rsplit('/').next().unwrap().replace('_', " "));
    echoed("offset", TIMEZONE, |run| run.local().format("UTC%:z").to_string());
    echoed("bare offset", TIMEZONE, |run| run.local().format("%:z").to_string());
    echoed("compact offset", TIMEZONE, |run| run.local().format("GMT%z").to_string());
    echoed("abbreviation", TIMEZONE, |run| run.local().format("%Z").to_string());
    echoed("minutes", TIMEZONE, |run| {
        let offset = run.local().format("%z").to_string().parse::<i64>().unwrap();
        (-(offset / 100 * 60 + offset % 100)).to_string()
    });
    let names = ["Coordinated Universal Time", "Eastern Standard Time", "Japan Standard Time", "China Standard Time"];
    echoed("English name", TIMEZONE, |run| names[usize::from(run.levels.level(TIMEZONE))].to_owned());
    echoed("date with an English name", TIMEZONE, |run| {
        let name = names[usize::from(run.levels.level(TIMEZONE))];
        format!("{} ({name})", run.local().format("%a %b %d %Y %H:%M:%S GMT%z"))
    });
}

#[test]
fn what_date_prints_is_a_local_date_in_every_zone() {
    quiet("`date`", saying(|run| format!("It is {}.", run.local().format("%a %b %e %H:%M:%S %Z %Y"))));
}

#[test]
fn a_mark_beside_an_echo_is_found() {
    mark("a look-alike beside a url", Covert, "content", |run, marked| {
        let url = run.level(BASE_URL, &URLS);
        say(run, &format!("head\nThe gateway{}s address is {url}.\ntail", if marked { "\u{2019}" } else { "'" }))
    });
    mark("something invisible inside a level", Covert, "content", |run, marked| {
        let user = run.level(USER, &USERS);
        say(run, &format!("head\nHello /home/{user}{} there.\ntail", if marked { "\u{200b}" } else { "" }))
    });
    mark("a word beside a user", Overt, "content", |run, marked| {
        let user = run.level(USER, &USERS);
        say(run, &format!("head\n{} {user} there.\ntail", if marked { "Beware" } else { "Hello" }))
    });
}
