use std::os::unix::fs::symlink;

use onering_rollout::Value;
use tempfile::TempDir;

use super::*;
use crate::kubelet::Volume;

const API: &str = "ONERING_EXTERNAL_API_ENABLED";
const CANARY: &str = "ONERING_EXTERNAL_API_CANARY_ONLY";
const SHARE: &str = "ONERING_EXTERNAL_API_COHORT_PERCENT";
const SALT: &str = "ONERING_COHORT_SALT";

fn plain(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn texts(values: &SourceValues) -> Vec<(&'static str, String)> {
    values.iter().map(|(switch, value)| (switch.name(), value.to_string())).collect()
}

fn errors(reading: &Reading) -> Vec<String> {
    let with_source = |failure: &ReloadFailure| {
        let source = std::error::Error::source(failure).map(ToString::to_string).unwrap_or_default();
        format!("{failure}: {source}")
    };
    reading.failures.iter().map(with_source).collect()
}

#[test]
fn files_are_read_and_other_names_are_not() {
    let dir = plain(&[(API, "1\n"), (SHARE, " 12.5 "), (SALT, "autumn"), ("README", "not a switch"), (".swp", "1")]);
    let mut directory = Directory::new(dir.path().to_owned());
    let reading = directory.read();
    assert!(reading.failures.is_empty());
    let expected = [(API, "1"), (SHARE, "12.5"), (SALT, "autumn")].map(|(name, text)| (name, text.to_owned()));
    assert_eq!(texts(&reading.values), expected);
    let written_at = reading.changed_at.unwrap();
    let mtime = DateTime::<Utc>::from(fs::metadata(dir.path().join(SALT)).unwrap().modified().unwrap());
    assert!((written_at - mtime).abs() < chrono::TimeDelta::seconds(1));
    assert_eq!(directory.read().changed_at, None, "nothing changed since");
}

#[test]
fn what_cannot_be_used_keeps_the_last_good_value_and_is_named() {
    let dir = plain(&[(API, "1"), (CANARY, "0"), (SHARE, "50")]);
    let mut directory = Directory::new(dir.path().to_owned());
    let good = directory.read().values;
    let long = "1".repeat(5000);
    for (text, complaint) in [
        (&b"perhaps"[..], "must be 0, 1, true, false, on or off"),
        (b"", "must be 0, 1, true, false, on or off"),
        (b"\xff\xfe", "not text"),
        (long.as_bytes(), "larger than 4096 bytes"),
    ] {
        fs::write(dir.path().join(API), text).unwrap();
        let reading = directory.read();
        assert_eq!(reading.values, good, "{text:?}");
        assert_eq!(reading.changed_at, None);
        assert_eq!(reading.failures.len(), 1);
        let error = &errors(&reading)[0];
        assert!(
            error.starts_with(&format!("the file of {API} cannot be used")) && error.contains(complaint),
            "{error}"
        );
        assert!(!error.contains("perhaps"));
    }
    fs::remove_file(dir.path().join(API)).unwrap();
    fs::create_dir(dir.path().join(API)).unwrap();
    assert!(errors(&directory.read())[0].contains("not a file"));
    fs::remove_dir(dir.path().join(API)).unwrap();
    symlink("/nowhere/at/all", dir.path().join(API)).unwrap();
    let reading = directory.read();
    assert_eq!((reading.values, reading.failures.len()), (good, 1));
    fs::remove_file(dir.path().join(API)).unwrap();
    fs::write(dir.path().join(API), "0").unwrap();
    let reading = directory.read();
    assert!(reading.failures.is_empty());
    assert_eq!(reading.values.get(Switch::ExternalApi), Some(Value::OnOff(false)));
}

#[test]
fn a_file_that_never_could_be_read_counts_as_the_narrowest_value() {
    let dir = plain(&[(API, "yes"), (CANARY, "no"), (SHARE, "all"), (SALT, ""), ("ONERING_WEBHOOKS_ENABLED", "1")]);
    let mut directory = Directory::new(dir.path().to_owned());
    let reading = directory.read();
    assert_eq!(reading.failures.len(), 4);
    let expected = [(API, "0"), (CANARY, "1"), ("ONERING_WEBHOOKS_ENABLED", "1"), (SHARE, "0")];
    assert_eq!(texts(&reading.values), expected.map(|(name, text)| (name, text.to_owned())));
    fs::write(dir.path().join(API), "1").unwrap();
    assert_eq!(directory.read().values.get(Switch::ExternalApi), Some(Value::OnOff(true)));
}

#[test]
fn a_removed_file_is_silence_and_a_removed_directory_is_not() {
    let dir = plain(&[(API, "1"), (SHARE, "50")]);
    let mut directory = Directory::new(dir.path().to_owned());
    directory.read();
    fs::remove_file(dir.path().join(SHARE)).unwrap();
    let reading = directory.read();
    assert_eq!(texts(&reading.values), [(API, "1".to_owned())]);
    assert!(reading.changed_at.is_some() && reading.failures.is_empty());

    fs::remove_dir_all(dir.path()).unwrap();
    let gone = directory.read();
    assert_eq!(gone.values, reading.values, "the last good values stay");
    assert!(errors(&gone)[0].starts_with("the flags directory"), "{:?}", errors(&gone));
    fs::create_dir(dir.path()).unwrap();
    assert_eq!(texts(&directory.read().values), []);
}

#[test]
fn a_directory_that_was_never_there_closes_everything() {
    let reading = Directory::new("/nowhere/at/all".into()).read();
    assert_eq!(reading.failures.len(), 1);
    assert!(
        reading
            .values
            .iter()
            .all(|(switch, value)| { value.to_string() == if switch == Switch::CanaryOnly { "1" } else { "0" } })
    );
    assert_eq!(reading.values.iter().count(), 6);
}

#[test]
fn a_link_the_kubelet_has_not_removed_yet_keeps_its_value() {
    let mut volume = Volume::new(&[(API, "1"), (CANARY, "1")]);
    let mut directory = Directory::new(volume.path().to_owned());
    let both = directory.read().values;
    let left = [(API, "1")];
    volume.write_and_swap(&left);
    let reading = directory.read();
    assert_eq!((reading.values, reading.failures.len()), (both, 1));
    volume.remove_stale_links(&left);
    let reading = directory.read();
    assert_eq!(texts(&reading.values), [(API, "1".to_owned())]);
    assert!(reading.failures.is_empty());
}
