//! **Explaining** a difference that is expected: what merely repeats a level, or follows from it as anyone would expect.
//! An explained difference is reported all the same; it is only not counted against anybody.

use crate::feature::{Channel, Feature, FeatureKind};
use crate::scenario::{FactorKind, Scenario};

/// An attributed difference in one feature.
#[derive(Clone, Debug)]
pub struct Difference<'a> {
    /// The feature.
    pub feature: &'a Feature,
    /// The factors that it is attributed to, by index.
    pub factors: &'a [usize],
    /// The value at the baseline; `None` is absent.
    pub baseline: Option<&'a str>,
    /// The value of each rule: where it is attributed to one factor, with the levels of that factor.
    pub variants: Vec<(Vec<u16>, Option<&'a str>)>,
}

/// Why a difference is expected; `None` where it is not.
#[must_use]
pub fn explain(difference: &Difference<'_>, scenario: &Scenario) -> Option<String> {
    if let Some(reason) = routed(difference, scenario).or_else(|| spoken(difference, scenario)) {
        return Some(reason);
    }
    if difference.feature.kind == FeatureKind::LocalDate {
        return dated(difference, scenario);
    }
    let [factor] = difference.factors else { return None };
    let known = scenario.factors.get(*factor)?;
    match &difference.feature.kind {
        FeatureKind::Echo { factor: echoed } if echoed == factor => Some(format!("echo of {}", known.name)),
        FeatureKind::Json if counts_characters(difference, scenario, *factor) => {
            Some(format!("counts the characters of {}", known.name))
        }
        _ => None,
    }
}

/// A date or time is that of the level's zone and clock, and of nothing else.
fn dated(difference: &Difference<'_>, scenario: &Scenario) -> Option<String> {
    let kinds: Vec<_> =
        difference.factors.iter().filter_map(|factor| Some(&scenario.factors.get(*factor)?.kind)).collect();
    match kinds[..] {
        [FactorKind::Timezone] => Some(String::from("local date or time in the level's zone")),
        [FactorKind::Clock] => Some(String::from("date or time by the level's clock")),
        [FactorKind::Timezone, FactorKind::Clock] | [FactorKind::Clock, FactorKind::Timezone] => {
            Some(String::from("local date or time in the level's zone, by the level's clock"))
        }
        _ => None,
    }
}

/// A proxy decides which way a request takes: its form, the port dialled, and that the proxy's name is looked up instead
/// of the host's. That more names are looked up would not follow from it.
fn routed(difference: &Difference<'_>, scenario: &Scenario) -> Option<String> {
    let kind = |factor: &usize| scenario.factors.get(*factor).map(|factor| &factor.kind);
    let proxy = difference.factors.iter().find(|factor| kind(factor) == Some(&FactorKind::Proxy))?;
    let name = &scenario.factors[*proxy].name;
    if !difference.factors.iter().all(|f| matches!(kind(f), Some(FactorKind::Proxy | FactorKind::BaseUrl { .. }))) {
        return None;
    }
    let expected = match difference.feature.channel {
        _ if difference.feature.kind == FeatureKind::Route => true,
        // That there is a proxy on a request's way. A connection of its own, without a request, would not follow.
        Channel::Connection => {
            difference.feature.kind == FeatureKind::Presence && difference.feature.place.contains(" · proxy ")
        }
        // The hello to the proxy itself, where there is one that speaks TLS; how it is said would not follow.
        Channel::Tls => {
            let appears = difference.variants.iter().all(|(_, value)| difference.baseline.is_some() != value.is_some());
            appears && difference.feature.place.contains(&format!("${{{name}}}"))
        }
        Channel::Dns => {
            difference.feature.place.contains(&format!("${{{name}}}"))
                || difference.baseline.is_some() && difference.variants.iter().any(|(_, value)| value.is_none())
        }
        _ => false,
    };
    expected.then(|| format!("requests take the way that {name} says"))
}

/// Headers of a connection, which requests of HTTP/2 do not carry (RFC 9113, 8.2.2), and `host`, whose place `:authority`
/// takes (8.3.1).
const OF_CONNECTION: [&str; 8] =
    ["host", "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te", "http2-settings"];

/// A version of HTTP is agreed on where it is offered, and has its own form of headers: HTTP/2 writes names in lower case
/// (RFC 9113, 8.2.1) and leaves out those that speak of the connection. Another name, value or order would not follow from
/// it. A base URL or proxy may decide with it whether there is a version to agree on.
fn spoken(difference: &Difference<'_>, scenario: &Scenario) -> Option<String> {
    let kind = |factor: &usize| scenario.factors.get(*factor).map(|factor| &factor.kind);
    let version = difference.factors.iter().find(|factor| kind(factor) == Some(&FactorKind::HttpVersion))?;
    let decides = |factor: &usize| {
        matches!(kind(factor), Some(FactorKind::HttpVersion | FactorKind::Proxy | FactorKind::BaseUrl { .. }))
    };
    if !difference.factors.iter().all(decides) {
        return None;
    }
    let feature = difference.feature;
    let follows = |variant: Option<&str>| match (feature.channel, difference.baseline, variant) {
        (_, baseline, variant) if baseline == variant => true,
        (Channel::Connection, Some(_), Some(_)) => feature.place.ends_with(" \u{b7} HTTP version"),
        (Channel::Header | Channel::HeaderOrder, Some(_), None)
        | (Channel::Header | Channel::HeaderOrder, None, Some(_)) => {
            // It has no lines whose spelling could be seen.
            feature.place.contains(" \u{b7} spelling \u{b7} ")
                || of_header(&feature.place).is_some_and(|name| OF_CONNECTION.contains(&name))
        }
        (Channel::HeaderOrder, Some(one), Some(other)) if feature.place.ends_with(" \u{b7} case") => {
            one.to_lowercase() == other || other.to_lowercase() == one
        }
        (Channel::HeaderOrder, Some(one), Some(other)) => {
            let of_request = |order: &str| {
                let names = order.split(' ').filter(|name| !OF_CONNECTION.contains(name));
                names.map(str::to_owned).collect::<Vec<_>>()
            };
            of_request(one) == of_request(other)
        }
        _ => false,
    };
    let all = difference.variants.iter().all(|(_, variant)| follows(*variant));
    all.then(|| format!("requests take the form that {} has", scenario.factors[*version].name))
}

/// The name of the header that stands at a place.
fn of_header(place: &str) -> Option<&str> {
    let of = |sign: &str| place.rsplit_once(sign).map(|(_, rest)| rest);
    let rest = of(" \u{b7} order of headers \u{b7} ").or_else(|| of(" \u{b7} header "))?;
    rest.split(" \u{b7} ").next()
}

/// Whether a number grows with the length of the level: `value(level) − value(baseline)` is one whole multiple of
/// `length(level) − length(baseline)` for every level.
fn counts_characters(difference: &Difference<'_>, scenario: &Scenario, factor: usize) -> bool {
    let levels = &scenario.factors[factor].levels;
    let length = |level: u16| {
        let value = levels.get(usize::from(level)).and_then(|level| level.value()).unwrap_or("");
        i64::try_from(value.len()).unwrap_or(i64::MAX)
    };
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    let Some(base) = number(difference.baseline) else { return false };
    let mut ratio = None;
    for level in 0..u16::try_from(levels.len()).unwrap_or(u16::MAX) {
        let rule = difference.variants.iter().find(|(levels, _)| levels.contains(&level));
        let Some(value) = rule.map_or(Some(base), |(_, text)| number(*text)) else { return false };
        let (grown, longer) = (value - base, length(level) - length(0));
        if longer == 0 {
            if grown != 0 {
                return false;
            }
            continue;
        }
        if grown == 0 || grown % longer != 0 || ratio.is_some_and(|ratio| ratio != grown / longer) || grown / longer < 0
        {
            return false;
        }
        ratio = Some(grown / longer);
    }
    ratio.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario() -> Scenario {
        let text = r#"
            name = "t"
            [target]
            command = ["sh"]
            include = []
            [factors.user]
            levels = ["dev", "alice", "wei"]
            [factors.proxy]
            levels = ["none", "http://proxy.example:3128"]
            [factors.timezone]
            levels = ["UTC", "Asia/Tokyo"]
            [factors.http_version]
            levels = ["1.1", "2"]
        "#;
        crate::scenario::parse(text, "t.toml", std::path::Path::new("."), &[]).unwrap()
    }

    fn feature(channel: Channel, kind: FeatureKind, place: &str) -> Feature {
        Feature { id: place.to_owned(), channel, place: place.to_owned(), kind }
    }

    fn why(
        feature: &Feature,
        factors: &[usize],
        base: Option<&str>,
        variants: &[(&[u16], Option<&str>)],
    ) -> Option<String> {
        let variants = variants.iter().map(|(levels, value)| (levels.to_vec(), *value)).collect();
        explain(&Difference { feature, factors, baseline: base, variants }, &scenario())
    }

    #[test]
    fn a_count_of_the_level_s_characters_is_explained_and_another_number_is_not() {
        let count = feature(Channel::Body, FeatureKind::Json, "length");
        assert!(why(&count, &[0], Some("14899"), &[(&[1], Some("14901"))]).is_some());
        assert!(why(&count, &[0], Some("14899"), &[(&[1], Some("14902"))]).is_none(), "no whole multiple");
        assert!(why(&count, &[0], Some("14899"), &[(&[2], Some("14901"))]).is_none(), "as long as the baseline");
        assert!(why(&count, &[0], Some("1"), &[(&[1], None)]).is_none());
    }

    #[test]
    fn the_way_of_a_request_follows_the_proxy_and_nothing_else_does() {
        let form = feature(Channel::Connection, FeatureKind::Route, "POST /x · form");
        assert!(why(&form, &[1], Some("direct"), &[(&[1], Some("absolute form"))]).is_some());
        assert!(why(&form, &[2], Some("direct"), &[(&[1], Some("absolute form"))]).is_none());
        let hop = feature(Channel::Connection, FeatureKind::Presence, "POST /x · proxy 1");
        assert!(why(&hop, &[1], None, &[(&[1], Some("present"))]).is_some());
        assert!(why(&hop, &[2], None, &[(&[1], Some("present"))]).is_none());
        let bare = feature(Channel::Connection, FeatureKind::Presence, "connection to 203.0.113.9:443");
        assert!(why(&bare, &[1], None, &[(&[1], Some("present"))]).is_none(), "a connection beside it does not follow");
        let gone = feature(Channel::Dns, FeatureKind::Presence, "DNS question for api.example");
        assert!(why(&gone, &[1], Some("A"), &[(&[1], None)]).is_some());
        assert!(why(&gone, &[1], None, &[(&[1], Some("A"))]).is_none(), "a further name does not follow");
        let text = feature(Channel::Body, FeatureKind::Text, "prompt");
        assert!(why(&text, &[1], Some("a"), &[(&[1], Some("b"))]).is_none());
        let hello = feature(Channel::Tls, FeatureKind::Text, "TLS hello for ${proxy} \u{b7} ALPN");
        assert!(why(&hello, &[1], None, &[(&[1], Some("http/1.1"))]).is_some());
        assert!(why(&hello, &[1], Some("h2"), &[(&[1], Some("http/1.1"))]).is_none(), "another hello does not follow");
        let other = feature(Channel::Tls, FeatureKind::Text, "TLS hello for api.example \u{b7} ALPN");
        assert!(why(&other, &[1], None, &[(&[1], Some("http/1.1"))]).is_none(), "nor one to somebody else");
    }

    #[test]
    fn the_form_of_headers_follows_the_version_of_http_and_their_content_does_not() {
        let header = |kind, place: &str| feature(Channel::HeaderOrder, kind, &format!("POST /x \u{b7} {place}"));
        let case = header(FeatureKind::Order, "header x-agent \u{b7} case");
        let changed = |factor, one, other| why(&case, &[factor], Some(one), &[(&[1], Some(other))]);
        assert!(changed(3, "X-Agent", "x-agent").is_some());
        assert!(changed(2, "X-Agent", "x-agent").is_none(), "another factor");
        assert!(changed(3, "X-Agent", "X-AGENT").is_none(), "no form of HTTP/2");
        let gone = |name: &str| {
            let presence = feature(Channel::Header, FeatureKind::Presence, &format!("POST /x \u{b7} header {name}"));
            why(&presence, &[3], Some("present"), &[(&[1], None)])
        };
        assert!(gone("host").is_some() && gone("connection").is_some());
        assert!(gone("x-agent").is_none() && gone("hostile").is_none());
        let spelling = header(FeatureKind::Signature, "spelling \u{b7} spaces around host");
        assert!(why(&spelling, &[3], Some(":value"), &[(&[1], None)]).is_some(), "there are no lines to be spelt");
        assert!(why(&spelling, &[2], Some(":value"), &[(&[1], None)]).is_none());
        assert!(why(&spelling, &[3], Some(":value"), &[(&[1], Some(":\\tvalue"))]).is_none());
        let version = feature(Channel::Connection, FeatureKind::Route, "POST /x \u{b7} HTTP version");
        assert!(why(&version, &[3], Some("1.1"), &[(&[1], Some("2"))]).is_some());
        assert!(why(&version, &[2], Some("1.1"), &[(&[1], Some("2"))]).is_none());
        let order = header(FeatureKind::Order, "order of headers");
        let ordered = |other| why(&order, &[3], Some("host user-agent accept"), &[(&[1], Some(other))]);
        assert!(ordered("user-agent accept").is_some());
        assert!(ordered("accept user-agent").is_none());
        let text = feature(Channel::Header, FeatureKind::Text, "POST /x \u{b7} header user-agent");
        assert!(why(&text, &[3], Some("a"), &[(&[1], Some("b"))]).is_none());
        let both = feature(Channel::Body, FeatureKind::Text, "prompt");
        assert!(why(&both, &[3], Some("a"), &[(&[1], None)]).is_none());
    }

    #[test]
    fn an_echo_is_explained_by_its_own_factor_only() {
        let echo = feature(Channel::Body, FeatureKind::Echo { factor: 0 }, "prompt");
        assert_eq!(why(&echo, &[0], Some("dev"), &[(&[1], Some("alice"))]), Some("echo of user".into()));
        assert_eq!(why(&echo, &[2], Some("dev"), &[(&[1], Some("alice"))]), None);
    }
}
