//! Every kind of factor, from a scenario's text to what the agent finds at two of its levels.

use std::path::Path;

use parallax::cell::Assignment;
use parallax::engine::Engine;
use parallax::engine::environment::{Context, realise};
use parallax::scenario::{WELL_KNOWN, parse};

use crate::harness::{FETCH, job};

/// What a script prints at each level of the factor.
struct Case {
    factor: &'static str,
    section: &'static str,
    script: &'static str,
    expected: &'static [&'static str],
}

const fn case(
    factor: &'static str,
    section: &'static str,
    script: &'static str,
    expected: &'static [&'static str],
) -> Case {
    Case { factor, section, script, expected }
}

/// Stands for the number of this machine's processors, on a line of its own.
const PROCESSORS: &str = "(processors)";

/// Prints a variable as the program was started with it: shells set some by themselves.
const VARIABLE: &str = r#"
variable() {
    for name; do tr '\0' '\n' < /proc/$$/environ | grep "^$name=" || echo "$name unset"; done
}
"#;

/// A line of the certificate that the context below gives.
const CERTIFICATE: &str = "-----CONFORMANCE-----";

/// Stands for the day 400 days ago, and what the script of the clock prints then.
const DAY: &str = "(400 days ago)";
const CLOCK: &str = "(400 days ago)\n(400 days ago)\n(400 days ago)\nlong ago\nslept 0\nLD_PRELOAD unset\n";

/// A hello of TLS 1.2, in whose answer the protocol that was agreed on can be read, offering h2 and http/1.1.
const AGREED: &str = r#"
    exec 3<>/dev/tcp/203.0.113.77/443
    hello='\x03\x0300112233445566778899aabbccddeeff\x00\x00\x02\xc0\x2b\x01\x00\x00\x2e'
    hello+='\x00\x0a\x00\x06\x00\x04\x00\x1d\x00\x17\x00\x0b\x00\x02\x01\x00\x00\x0d\x00\x04\x00\x02\x04\x03'
    hello+='\x00\x17\x00\x00\x00\x10\x00\x0e\x00\x0c\x02h2\x08http/1.1'
    printf '\x16\x03\x01\x00\x5d\x01\x00\x00\x59'"$hello" >&3
    answer=$(head -c 128 <&3 | tr -d '\0')
    case $answer in *http/1.1*) echo 1.1 ;; *$'\x03\x02h2'*) echo 2 ;; *) echo none ;; esac
"#;

const CASES: [Case; 22] = [
    case(
        "timezone",
        "levels = ['UTC', 'Asia/Tokyo']",
        "date +%Z; (unset TZ; date +%Z); cat /etc/timezone; readlink /etc/localtime",
        &["UTC\nUTC\nUTC\n/usr/share/zoneinfo/UTC\n", "JST\nJST\nAsia/Tokyo\n/usr/share/zoneinfo/Asia/Tokyo\n"],
    ),
    case(
        "locale",
        "levels = ['de_DE.UTF-8', { unset = true }]",
        "variable LANG LC_ALL",
        &["LANG=de_DE.UTF-8\nLC_ALL=de_DE.UTF-8\n", "LANG unset\nLC_ALL unset\n"],
    ),
    case(
        "hostname",
        "levels = ['one', 'build-7']",
        "uname -n; cat /etc/hostname; variable HOSTNAME",
        &["one\none\nHOSTNAME=one\n", "build-7\nbuild-7\nHOSTNAME=build-7\n"],
    ),
    case(
        "proxy",
        "levels = ['none', 'http://p:3128']",
        "variable HTTP_PROXY HTTPS_PROXY ALL_PROXY http_proxy https_proxy all_proxy",
        &[
            "HTTP_PROXY unset\nHTTPS_PROXY unset\nALL_PROXY unset\nhttp_proxy unset\nhttps_proxy unset\nall_proxy unset\n",
            "HTTP_PROXY=http://p:3128\nHTTPS_PROXY=http://p:3128\nALL_PROXY=http://p:3128\nhttp_proxy=http://p:3128\n\
         https_proxy=http://p:3128\nall_proxy=http://p:3128\n",
        ],
    ),
    case(
        "base_url",
        "variable = 'U'\nlevels = ['http://a.example/v1', { unset = true }]",
        "variable U",
        &["U=http://a.example/v1\n", "U unset\n"],
    ),
    case(
        "user",
        "levels = ['dev', 'wei']",
        "id -un; echo ~; variable USER LOGNAME HOME; touch ~/x && echo writable",
        &[
            "dev\n/home/dev\nUSER=dev\nLOGNAME=dev\nHOME=/home/dev\nwritable\n",
            "wei\n/home/wei\nUSER=wei\nLOGNAME=wei\nHOME=/home/wei\nwritable\n",
        ],
    ),
    case(
        "home",
        "levels = ['/home/dev', '/srv/people/q']",
        "cd; pwd; getent passwd dev | cut -d: -f6; touch x && echo writable",
        &["/home/dev\n/home/dev\nwritable\n", "/srv/people/q\n/srv/people/q\nwritable\n"],
    ),
    case("terminal", "levels = ['dumb', { unset = true }]", "variable TERM", &["TERM=dumb\n", "TERM unset\n"]),
    case(
        "ci",
        "levels = ['none', 'github', 'gitlab']",
        "variable CI GITHUB_ACTIONS GITHUB_WORKSPACE GITLAB_CI CI_PROJECT_DIR",
        &[
            "CI unset\nGITHUB_ACTIONS unset\nGITHUB_WORKSPACE unset\nGITLAB_CI unset\nCI_PROJECT_DIR unset\n",
            "CI=true\nGITHUB_ACTIONS=true\nGITHUB_WORKSPACE=/workspace\nGITLAB_CI unset\nCI_PROJECT_DIR unset\n",
            "CI=true\nGITHUB_ACTIONS unset\nGITHUB_WORKSPACE unset\nGITLAB_CI=true\nCI_PROJECT_DIR=/workspace\n",
        ],
    ),
    case(
        "shell",
        "levels = ['/bin/bash', '/bin/zsh']",
        "variable SHELL; getent passwd dev | cut -d: -f7",
        &["SHELL=/bin/bash\n/bin/bash\n", "SHELL=/bin/zsh\n/bin/zsh\n"],
    ),
    case(
        "cwd",
        "levels = ['/workspace', '/srv/app']",
        "pwd -P; variable PWD; ls README.md; touch x && echo writable",
        &["/workspace\nPWD=/workspace\nREADME.md\nwritable\n", "/srv/app\nPWD=/srv/app\nREADME.md\nwritable\n"],
    ),
    case(
        "git",
        "levels = ['none', 'repository']",
        "cat .git/HEAD 2> /dev/null || echo none",
        &["none\n", "ref: refs/heads/main\n"],
    ),
    case(
        "dns_search",
        "levels = ['none', 'corp.example']",
        "grep ^search /etc/resolv.conf || echo none",
        &["none\n", "search corp.example\n"],
    ),
    case(
        "machine_id",
        "levels = ['00000000000000000000000000000001', 'none']",
        "cat /etc/machine-id 2> /dev/null || echo none",
        &["00000000000000000000000000000001\n", "none\n"],
    ),
    case("cpus", "levels = ['none', 1, 2]", "nproc", &[PROCESSORS, "1\n", "2\n"]),
    case(
        "clock",
        "levels = ['2031-05-06', '1999-02-03T12:00:00Z', '-400d']",
        r#"date -u +%F; env -i date -u +%F; bash -c 'printf "%(%F)T\n"'
        [ "$(date +%s)" -lt $(( $(stat -c %Y /proc/self) - 390 * 86400 )) ] && echo long ago
        started=$SECONDS; timeout 5 sleep 0.1; echo "slept $(( SECONDS - started > 3 ))"; variable LD_PRELOAD"#,
        &[
            "2031-05-06\n2031-05-06\n2031-05-06\nslept 0\nLD_PRELOAD unset\n",
            "1999-02-03\n1999-02-03\n1999-02-03\nlong ago\nslept 0\nLD_PRELOAD unset\n",
            CLOCK,
        ],
    ),
    case(
        "trust",
        "levels = ['both', 'variables', 'system', 'none']",
        r#"variable SSL_CERT_FILE NODE_EXTRA_CA_CERTS | cut -d= -f1
        for file in "$SSL_CERT_FILE" /etc/ssl/certs/ca-certificates.crt; do
            grep -qe CONFORMANCE "$file" 2> /dev/null && echo trusted || echo not
        done"#,
        &[
            "SSL_CERT_FILE\nNODE_EXTRA_CA_CERTS\ntrusted\ntrusted\n",
            "SSL_CERT_FILE\nNODE_EXTRA_CA_CERTS\ntrusted\nnot\n",
            "SSL_CERT_FILE unset\nNODE_EXTRA_CA_CERTS unset\nnot\ntrusted\n",
            "SSL_CERT_FILE unset\nNODE_EXTRA_CA_CERTS unset\nnot\nnot\n",
        ],
    ),
    case(
        "appearance",
        "levels = ['bare', 'plausible']",
        r"variable TERM_PROGRAM DISPLAY
        grep -c 'eth0:' /proc/net/dev; grep -c '^eth0.00000000.0101A8C0' /proc/net/route
        fetch 203.0.113.77 80 / | cut -d' ' -f1; fetch api.vendor.example 80 / | cut -d' ' -f1",
        &[
            "TERM_PROGRAM unset\nDISPLAY unset\n0\n0\nHTTP/1.1\nHTTP/1.1\n",
            "TERM_PROGRAM=WezTerm\nDISPLAY=:0\n1\n1\nHTTP/1.1\nHTTP/1.1\n",
        ],
    ),
    case("http_version", "levels = ['1.1', '2']", AGREED, &["1.1\n", "2\n"]),
    case(
        "any_variable",
        "kind = 'env'\nvariable = 'ANY'\nlevels = [{ unset = true }, '']",
        "variable ANY",
        &["ANY unset\n", "ANY=\n"],
    ),
    case(
        "any_file",
        "kind = 'file'\npath = '.config/any.json'\nlevels = [{ unset = true }, '{}']",
        "cat ~/.config/any.json 2> /dev/null || echo none",
        &["none\n", "{}"],
    ),
    case(
        "any_argument",
        "kind = 'argument'\nlevels = [{ unset = true }, '--fast mode']",
        r#"echo $#; echo "$@""#,
        &["0\n\n", "1\n--fast mode\n"],
    ),
];

pub(crate) async fn every_factor_arrives(engine: &dyn Engine) {
    let context = Context { ca_certificate_pem: format!("{CERTIFICATE}\n"), ..Context::default() };
    for Case { factor, section, script, expected } in &CASES {
        let script = serde_json::Value::from(format!("{VARIABLE}{FETCH}{script}"));
        let text = format!(
            "name = 'x'\n[target]\nnpm = 'x'\ncommand = ['bash', '-c', {script}, 'x']\n[factors.{factor}]\n{section}"
        );
        let scenario = parse(&text, "test.toml", Path::new("."), &[])
            .unwrap_or_else(|error| panic!("{factor}: {error}: {:?}", error.underlined()));
        let processors = std::thread::available_parallelism().unwrap().get();
        assert_eq!(scenario.factors[0].levels.len(), expected.len(), "{factor}");
        // The last level first: what it brought must be gone again at the first.
        for (level, expected) in expected.iter().enumerate().rev() {
            let levels = Assignment(vec![u16::try_from(level).unwrap()]);
            if *factor == "cpus" && level > processors {
                println!("skipped: this machine has only {processors} processors, not {level}");
                continue;
            }
            let environment = realise(&scenario, &levels, &context);
            let began = chrono::Utc::now();
            let capture = engine.run(0, &job(factor, environment)).await.unwrap();
            let expected = expected.replace(PROCESSORS, &format!("{processors}\n"));
            let ago = |at: chrono::DateTime<chrono::Utc>| (at - chrono::Duration::days(400)).format("%F").to_string();
            // A midnight may have passed meanwhile.
            let days = [ago(began), ago(chrono::Utc::now())];
            let seen = capture.stdout.text();
            let possible = days.map(|day| expected.replace(DAY, &day));
            assert!(possible.contains(&seen.to_string()), "{factor}, level {level}: {seen} {}", capture.stderr.text());
        }
    }
    let missing: Vec<_> = WELL_KNOWN.iter().filter(|name| !CASES.iter().any(|case| case.factor == **name)).collect();
    assert!(missing.is_empty(), "well-known factors without a check: {missing:?}");
}

/// An interface with a route is no way out.
pub(crate) async fn a_plausible_machine_is_as_closed_as_a_bare_one(engine: &dyn Engine) {
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!(
        r"{FETCH}
        for place in 192.168.1.1 192.168.1.57 172.17.0.1 10.0.0.1; do
            (exec 3<>/dev/tcp/$place/{port} && printf 'x' >&3) 2> /dev/null
        done
        fetch 192.168.1.1 80 /router > /dev/null
        echo done"
    );
    let mut environment = crate::harness::environment(&script);
    environment.interface = true;
    let capture = engine.run(0, &job("c0001", environment)).await.unwrap();
    assert_eq!(capture.stdout.text(), "done\n", "{}", capture.stderr.text());
    assert!(listener.accept().is_err(), "the pod reached a listener of this machine");
    assert_eq!(capture.exchanges.iter().map(|e| e.target.as_str()).collect::<Vec<_>>(), ["/router"]);
    let tried = capture.connections.iter().filter(|c| c.dialled.ends_with(&format!(":{port}"))).count();
    assert_eq!(tried, 4, "{:?}", capture.connections);
}
