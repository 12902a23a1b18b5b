//! **Listing** the versions of a target's package, as its package client knows them, and choosing a series of them.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use fs_err as fs;

use super::{failed, npm, pypi, version};
use crate::engine::EngineError;
use crate::scenario::Source;

/// Which versions of a package are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// From one to another, both included; an end that is open is the oldest or newest release.
    Range(Option<String>, Option<String>),
    /// These.
    List(Vec<String>),
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |text: &str| {
            let text = text.trim();
            let known = |b: u8| b.is_ascii_alphanumeric() || b"-+._!".contains(&b);
            let good = text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(known);
            if good { Ok(text.to_owned()) } else { Err(format!("`{text}` is no exact version")) }
        };
        if let Some((from, to)) = text.split_once("..") {
            let end = |end: &str| match end.trim() {
                "" | "latest" => Ok(None),
                end => plain(end).map(Some),
            };
            let (from, to) = (end(from)?, end(to)?);
            if let (Some(from), Some(to)) = (&from, &to)
                && version::compare(from, to) == Ordering::Greater
            {
                return Err(format!("{from} is newer than {to}: write the older one first"));
            }
            return Ok(Self::Range(from, to));
        }
        let list: Vec<String> = text.split(',').map(plain).collect::<Result<_, _>>()?;
        Ok(Self::List(ordered(list)))
    }
}

impl Wanted {
    /// Those of `known` that are asked for, the oldest first. Pre-releases are left out of a range, but for one that is
    /// an end of it.
    fn of(&self, known: Vec<String>) -> Vec<String> {
        let Self::Range(from, to) = self else { return ordered(known) };
        let is_end = |version: &String| from.as_ref() == Some(version) || to.as_ref() == Some(version);
        let inside = |version: &String| {
            from.as_ref().is_none_or(|from| version::compare(version, from) != Ordering::Less)
                && to.as_ref().is_none_or(|to| version::compare(version, to) != Ordering::Greater)
        };
        let kept = |version: &String| inside(version) && (!version::is_prerelease(version) || is_end(version));
        ordered(known.into_iter().filter(kept).collect())
    }
}

fn ordered(mut versions: Vec<String>) -> Vec<String> {
    versions.sort_by(|a, b| version::compare(a, b).then_with(|| a.cmp(b)));
    versions.dedup();
    versions
}

/// The versions that are asked for, the oldest first. A list is taken as it is; for a range the registry is asked, by way
/// of the machine's own package client.
///
/// # Errors
/// When the target is no package, the client is missing, or the registry does not answer or has no such version.
pub async fn versions(source: &Source, wanted: &Wanted, python: &str) -> Result<Vec<String>, EngineError> {
    if let Wanted::List(list) = wanted {
        return Ok(list.clone());
    }
    let (package, known) = match source {
        Source::Npm { package, .. } => (package, npm::versions(package).await?),
        Source::Pypi { package, .. } => (package, pypi::versions(package, python).await?),
        Source::Image { .. } | Source::Local { .. } => {
            return Err(EngineError::NoTarget {
                key: "version",
                message: String::from(
                    "only a package has versions that can be looked up: give a list, --versions 1.0.0,1.1.0,…",
                ),
            });
        }
    };
    let found = wanted.of(known);
    if found.is_empty() {
        return Err(EngineError::NoTarget {
            key: "version",
            message: format!("the registry has no release of {package} in that range"),
        });
    }
    Ok(found)
}

/// Removes one installed target from the cache: the folder of a [`super::Cached`]. Anything else is left alone.
///
/// # Errors
/// When it cannot be removed.
pub fn remove(cache: &Path, folder: &Path) -> Result<(), EngineError> {
    let known: Vec<PathBuf> = super::cached(cache).into_iter().map(|entry| entry.folder).collect();
    if known.iter().any(|entry| entry == folder) {
        // The record first: what has none is no entry, so half a removal is none that anybody would use.
        fs::remove_file(folder.join("record.json")).map_err(failed("removing an installed target"))?;
        fs::remove_dir_all(folder).map_err(failed("removing an installed target"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(list: &[&str]) -> Vec<String> {
        list.iter().map(|&version| version.to_owned()).collect()
    }

    #[test]
    fn ranges_and_lists_are_read() {
        assert_eq!("1.2..".parse(), Ok(Wanted::Range(Some("1.2".into()), None)));
        assert_eq!("..latest".parse(), Ok(Wanted::Range(None, None)));
        assert_eq!("1.10.0,1.9.0, 1.10.0".parse(), Ok(Wanted::List(known(&["1.9.0", "1.10.0"]))));
        for (text, why) in
            [("2..1", "older one first"), ("", "no exact version"), ("^1", "no exact"), ("1,-x", "no exact")]
        {
            assert!(text.parse::<Wanted>().unwrap_err().contains(why), "{text}");
        }
    }

    #[test]
    fn a_range_has_both_its_ends_and_no_prerelease() {
        let all = known(&["1.10.0", "1.9.0", "1.0.0", "2.0.0-rc.1", "2.0.0", "1.9.1"]);
        let of = |text: &str| text.parse::<Wanted>().unwrap().of(all.clone());
        assert_eq!(of("1.9.0..1.10.0"), ["1.9.0", "1.9.1", "1.10.0"]);
        assert_eq!(of("1.9.1.."), ["1.9.1", "1.10.0", "2.0.0"]);
        assert_eq!(of("1.10.0..2.0.0-rc.1"), ["1.10.0", "2.0.0-rc.1"]);
        assert_eq!(of("3.."), [""; 0]);
    }

    #[test]
    fn only_what_the_cache_holds_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let other = place.path().join("mine");
        fs::create_dir(&other).unwrap();
        remove(place.path(), &other).unwrap();
        assert!(other.is_dir());
    }
}
