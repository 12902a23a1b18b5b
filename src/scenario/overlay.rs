//! An **overlay**: a file with another `[target]` (and `[stub]`) for a scenario, as settings that take the place of its own.

use std::fmt::Write as _;

use toml::{Table, Value};

/// The sections that a target file may have.
const SECTIONS: [&str; 2] = ["target", "stub"];

/// The settings (`target={…}`) that a target file comes to, each on one line.
///
/// # Errors
/// A line for a person, where the text is not TOML, has no `[target]` or something beside what it may have.
pub fn target_settings(text: &str) -> Result<Vec<String>, String> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| format!("not TOML: {}", error.message()))?;
    if let Some(other) = table.keys().find(|key| !SECTIONS.contains(&key.as_str())) {
        return Err(format!(
            "`{other}` belongs into the scenario: a target file has [target] and, where it needs one, [stub]"
        ));
    }
    if !table.contains_key("target") {
        return Err(String::from("it has no section [target]"));
    }
    Ok(table.iter().map(|(name, value)| format!("{name}={}", inline(value))).collect())
}

/// A value on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Table(table) => {
            let entries = table.iter().map(|(key, value)| format!("{} = {}", quoted(key), inline(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Integer(number) => number.to_string(),
        Value::Boolean(on) => on.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Datetime(moment) => moment.to_string(),
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // Writing to a string cannot fail.
            c if c.is_control() => drop(write!(out, "\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const SCENARIO: &str = "name = \"x\"\n[target]\npypi = \"old\"\nversion = \"1.0\"\ncommand = [\"old\"]\n\
                            [factors.timezone]\nlevels = [\"UTC\", \"Asia/Tokyo\"]\n";

    #[test]
    fn a_target_file_takes_the_place_of_the_whole_target() {
        let file = "[target]\nnpm = \"@s/new\"\nversion = \"2.10\"\ncommand = [\"new\", \"-p\", \"{prompt}\"]\n\
                    prompt = \"a \\\"b\\\"\\nc \\\\ \u{e9}\"\nenv = { KEY = \"v\" }\n[stub]\nscript = [{ text = \"Hi\" }]\n";
        let settings = target_settings(file).unwrap();
        assert!(settings.iter().all(|setting| !setting.contains('\n')), "{settings:?}");
        let scenario = super::super::parse(SCENARIO, "x.toml", Path::new("."), &settings).unwrap();
        assert_eq!(
            scenario.target.source,
            super::super::Source::Npm { package: "@s/new".into(), version: "2.10".into() }
        );
        assert_eq!((scenario.target.prompt.as_str(), scenario.target.command.len()), ("a \"b\"\nc \\ \u{e9}", 3));
        assert_eq!(scenario.stub.script, [super::super::Turn::Text("Hi".into())]);
    }

    #[test]
    fn what_is_no_target_file_is_refused() {
        for (file, why) in
            [("", "no section [target]"), ("[factors.x]", "belongs into the scenario"), ("=", "not TOML")]
        {
            assert!(target_settings(file).unwrap_err().contains(why), "{file}");
        }
    }
}
