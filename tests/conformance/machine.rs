//! The machine that an agent finds is the one that the cell describes.

use parallax::engine::Engine;
use parallax::engine::environment::{Node, PodFile};

use crate::harness::{environment, job, output};

pub(crate) async fn the_environment_arrives(engine: &dyn Engine) {
    let script = r#"
        date +%z
        (unset TZ; date +%z)
        cat /etc/timezone /etc/machine-id
        echo "$LANG $HTTPS_PROXY"
        cat README.md "$HOME/.config/agent/settings.json" /opt/target/greeting
        cat /etc/resolv.conf | grep search
    "#;
    let expected = "+0900\n+0900\nAsia/Tokyo\n0123456789abcdef0123456789abcdef\n\
                    de_DE.UTF-8 http://proxy.corp.example:3128\n# A project\n{}\nhello from the target\n\
                    search corp.example\n";
    assert_eq!(output(engine, script).await, expected);
}

pub(crate) async fn variables_are_exactly_the_cells(engine: &dyn Engine) {
    let mut cell = environment("");
    cell.command = vec!["env".to_owned(), "-0".to_owned()];
    cell.variables.insert("ODD".to_owned(), "a = b\n\"c\" $d 'é'".to_owned());
    cell.variables.insert("EMPTY".to_owned(), String::new());
    let capture = engine.run(0, &job("c0001", cell.clone())).await.unwrap();
    let text = capture.stdout.text().into_owned();
    let mut seen: std::collections::BTreeMap<String, String> = text
        .split_terminator('\0')
        .map(|line| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap())
        .collect();
    // A container engine adds this one whatever one does; it must then be the cell's.
    if let Some(hostname) = seen.remove("HOSTNAME") {
        assert_eq!(hostname, cell.hostname);
    }
    assert_eq!(seen, cell.variables);
}

pub(crate) async fn names_and_accounts_are_the_cells(engine: &dyn Engine) {
    let script = r#"
        uname -n
        cat /etc/hostname
        id -un; id -u; id -g
        getent passwd "$(id -u)"
        echo ~; pwd
        echo "$USER"
        getent hosts localhost > /dev/null && echo localhost
    "#;
    let expected = "build-7\nbuild-7\nalice\n1234\n1235\nalice:x:1234:1235:Alice:/home/alice:/bin/bash\n\
                    /home/alice\n/workspace\nalice\nlocalhost\n";
    assert_eq!(output(engine, script).await, expected);

    let mut other = environment("uname -n; echo ~; id -u; pwd; touch ~/x here && echo written");
    "laptop".clone_into(&mut other.hostname);
    "/srv/people/bob".clone_into(&mut other.user.home);
    other.user.uid = 4321;
    "/src/app".clone_into(&mut other.workdir);
    for path in [&other.user.home, &other.workdir] {
        let path = path.clone();
        other.files.push(PodFile { path, node: Node::Folder, mode: 0o755, owned_by_user: true });
    }
    other.variables.insert("HOME".to_owned(), other.user.home.clone());
    let capture = engine.run(0, &job("c0002", other)).await.unwrap();
    assert_eq!(
        capture.stdout.text(),
        "laptop\n/srv/people/bob\n4321\n/src/app\nwritten\n",
        "{}",
        capture.stderr.text()
    );
}

pub(crate) async fn processors_are_the_cells(engine: &dyn Engine) {
    let mut cell = environment("nproc");
    cell.cpus = Some(1);
    let capture = engine.run(1, &job("c0001", cell)).await.unwrap();
    assert_eq!(capture.stdout.text(), "1\n", "{}", capture.stderr.text());
}

pub(crate) async fn only_the_agents_folders_are_writable(engine: &dyn Engine) {
    let script = r#"
        for place in /usr /usr/bin /bin /lib /etc /opt/target / /proc/sys/kernel /sys /var/lib; do
            if touch "$place/.probe" 2> /dev/null; then echo "wrote to $place"; fi
        done
        for file in /etc/hosts /etc/passwd /etc/resolv.conf /opt/target/greeting /proc/sys/kernel/hostname \
            /proc/sys/net/ipv6/conf/all/disable_ipv6 /proc/sysrq-trigger; do
            if : 2> /dev/null >> "$file"; then echo "opened $file"; fi
        done
        for place in ~ . /tmp /var/tmp /dev/shm ~/.config/agent; do
            touch "$place/.probe" || echo "cannot write to $place"
        done
        touch ~/a && mv ~/a /tmp/a && echo moved
        stat -c %U ~ . README.md
    "#;
    assert_eq!(output(engine, script).await, "moved\nalice\nalice\nalice\n");
}

pub(crate) async fn files_are_laid_among_the_programs_too(engine: &dyn Engine) {
    let mut cell = environment(
        "cat /usr/share/parallax/deep/note /usr/share/zoneinfo/zone.tab && ls /usr/share/zoneinfo | grep -cx Asia
        ls /usr/share | grep -cx zoneinfo; ! touch /usr/share/parallax/new 2> /dev/null",
    );
    let file = |path: &str, text: &str| PodFile {
        path: path.to_owned(),
        node: Node::File(text.as_bytes().to_vec()),
        mode: 0o644,
        owned_by_user: false,
    };
    cell.files.push(PodFile {
        path: "/usr/share/parallax".to_owned(),
        node: Node::Folder,
        mode: 0o755,
        owned_by_user: false,
    });
    cell.files.push(PodFile {
        path: "/usr/share/parallax/deep".to_owned(),
        node: Node::Folder,
        mode: 0o755,
        owned_by_user: false,
    });
    cell.files.push(file("/usr/share/parallax/deep/note", "laid\n"));
    cell.files.push(file("/usr/share/zoneinfo/zone.tab", "replaced\n"));
    let capture = engine.run(0, &job("c0001", cell)).await.unwrap();
    assert_eq!(capture.stdout.text(), "laid\nreplaced\n1\n1\n", "{}", capture.stderr.text());
    assert_eq!(output(engine, "ls -d /usr/share/parallax 2> /dev/null || echo gone").await, "gone\n");
}
