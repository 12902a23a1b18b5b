//! **Paths** inside a pod, as a scenario writes them: absolute, or below HOME.

/// The path without empty and `.` parts. `~/x` and `x` are both `x`, below HOME. `None` where it is no path of a file:
/// empty, upward (`..`), or with a character that no path should have.
#[must_use]
pub fn normalise(path: &str) -> Option<String> {
    if path.chars().any(char::is_control) {
        return None;
    }
    let (path, absolute) = match path.strip_prefix("~/") {
        Some(below) => (below, false),
        None => (path, path.starts_with('/')),
    };
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => return None,
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        return None;
    }
    let joined = parts.join("/");
    Some(if absolute { format!("/{joined}") } else { joined })
}

/// Whether `path` is `folder` or below it.
#[must_use]
pub fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || folder.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_cleaned_or_refused() {
        let given = [
            ("/etc//x/./y/", Some("/etc/x/y")),
            ("~/.config/a.json", Some(".config/a.json")),
            ("./a", Some("a")),
            ("a/..b", Some("a/..b")),
            ("/etc/../root", None),
            ("..", None),
            ("/", None),
            ("", None),
            ("a\nb", None),
        ];
        for (path, expected) in given {
            assert_eq!(normalise(path).as_deref(), expected, "{path}");
        }
        assert!(is_below("/a/b", "/a") && is_below("/a", "/a") && is_below("/a", "/"));
        assert!(!is_below("/ab", "/a"));
    }

    proptest! {
        #[test]
        fn no_path_escapes(path in "[a./~]{0,20}") {
            if let Some(clean) = normalise(&path) {
                prop_assert!(clean.split('/').all(|part| part != ".." && part != "."));
                prop_assert_eq!(clean.starts_with('/'), path.starts_with('/'));
                prop_assert!(clean.len() <= path.len() && !clean.ends_with('/') && !clean.contains("//"));
            }
        }
    }
}
