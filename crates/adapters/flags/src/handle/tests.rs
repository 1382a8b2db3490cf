use std::fs;
use std::path::Path;
use std::time::Duration;

use onering_rollout::{Switch, Value};
use onering_settings::Flags;
use onering_testkit::eventually;
use tokio::time::timeout;

use super::*;
use crate::kubelet::Volume;

const API: &str = "ONERING_EXTERNAL_API_ENABLED";
const DELIVERY: &str = "ONERING_WEBHOOKS_DELIVERY_ENABLED";
const SHARE: &str = "ONERING_EXTERNAL_API_COHORT_PERCENT";

const SOON: Duration = Duration::from_secs(20);
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// Only one of the two ways to notice a change, so that neither hides that the other is broken.
const WATCH_ONLY: Pace = Pace { poll: NEVER, watch: true };
const POLL_ONLY: Pace = Pace { poll: Duration::from_millis(10), watch: false };

fn source(values: &[(Switch, &str)]) -> SourceValues {
    let mut source = SourceValues::default();
    for (switch, text) in values {
        source.set(*switch, text).unwrap();
    }
    source
}

/// On a directory, with an environment that opens everything, and no overrides.
async fn open_handle(dir: &Path, pace: Pace) -> FlagsHandle {
    let environment = source(&[(Switch::ExternalApi, "1"), (Switch::Delivery, "1"), (Switch::Webhooks, "1")]);
    let settings = Flags { dir: Some(dir.to_owned()), environment };
    let handle = FlagsHandle::start_at(&settings, Clock::system(), pace).await;
    handle.set_overrides(SourceValues::default(), None);
    handle
}

async fn becomes(handle: &FlagsHandle, switch: Switch, value: Value) -> Arc<Applied> {
    let mut changes = handle.subscribe();
    let wanted = changes.wait_for(|applied| applied.switches.value(switch) == value);
    let applied = timeout(SOON, wanted).await.expect("the change is applied soon").unwrap();
    Arc::clone(&applied)
}

/// The second swap is the one that kills a watch on the files, or on the directory behind the link.
#[tokio::test]
async fn every_swap_of_the_kubelet_takes_effect() {
    for pace in [WATCH_ONLY, POLL_ONLY] {
        let mut volume = Volume::new(&[(API, "0"), (SHARE, "1")]);
        let handle = open_handle(volume.path(), pace).await;
        assert!(!handle.current().external_api, "the first reading is done when the handle is there");
        for percent in 2..8 {
            let before = handle.applied();
            let (api, share) = (u8::from(percent % 2 == 0).to_string(), percent.to_string());
            volume.publish(&[(API, &api), (SHARE, &share)]);
            let applied = becomes(&handle, Switch::ApiPercent, Value::Percent(share.parse().unwrap())).await;
            assert_eq!(applied.switches.external_api, percent % 2 == 0, "one swap is one change");
            assert_eq!(applied.generation, before.generation + 1);
            assert_eq!(applied.fingerprint, applied.switches.fingerprint());
            assert_eq!(handle.current(), applied.switches);
            let took = applied.applied_at - applied.changed_at.unwrap();
            assert!(took >= chrono::TimeDelta::zero(), "{took}");
        }
    }
}

#[tokio::test]
async fn plain_files_may_be_written_in_place_or_moved_there() {
    for pace in [WATCH_ONLY, POLL_ONLY] {
        let dir = tempfile::tempdir().unwrap();
        let handle = open_handle(dir.path(), pace).await;
        for _ in 0..3 {
            fs::write(dir.path().join(API), "0").unwrap();
            becomes(&handle, Switch::ExternalApi, Value::OnOff(false)).await;
            fs::write(dir.path().join("next"), "1").unwrap();
            fs::rename(dir.path().join("next"), dir.path().join(API)).unwrap();
            becomes(&handle, Switch::ExternalApi, Value::OnOff(true)).await;
        }
        // Without the file the environment speaks again.
        fs::write(dir.path().join(API), "0").unwrap();
        becomes(&handle, Switch::ExternalApi, Value::OnOff(false)).await;
        fs::remove_file(dir.path().join(API)).unwrap();
        becomes(&handle, Switch::ExternalApi, Value::OnOff(true)).await;
    }
}

#[tokio::test]
async fn an_invalid_file_keeps_the_last_good_value_and_is_reported_until_it_is_right() {
    let mut volume = Volume::new(&[(API, "1"), (SHARE, "5")]);
    let handle = open_handle(volume.path(), WATCH_ONLY).await;
    let mut failures = handle.failures();
    assert!(failures.borrow().is_empty());
    volume.publish(&[(API, "on?"), (SHARE, "25")]);
    becomes(&handle, Switch::ApiPercent, Value::Percent("25".parse().unwrap())).await;
    assert!(handle.current().external_api);
    let seen = timeout(SOON, failures.wait_for(|failures| !failures.is_empty())).await.unwrap().unwrap();
    assert_eq!(seen[0].to_string(), format!("the file of {API} cannot be used"));
    drop(seen);
    volume.publish(&[(API, "off"), (SHARE, "25")]);
    becomes(&handle, Switch::ExternalApi, Value::OnOff(false)).await;
    timeout(SOON, failures.wait_for(|failures| failures.is_empty())).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_directory_that_goes_and_comes_back_is_followed() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("flags");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join(API), "0").unwrap();
    let handle = open_handle(&dir, Pace { poll: Duration::from_millis(10), watch: true }).await;
    let mut failures = handle.failures();
    for round in 0..3 {
        fs::remove_dir_all(&dir).unwrap();
        timeout(
            SOON,
            failures
                .wait_for(|failures| failures.iter().any(|failure| matches!(failure, ReloadFailure::Directory { .. }))),
        )
        .await
        .unwrap()
        .unwrap();
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join(SHARE), (round + 1).to_string()).unwrap();
        let share = Value::Percent((round + 1).to_string().parse().unwrap());
        becomes(&handle, Switch::ApiPercent, share).await;
        timeout(SOON, failures.wait_for(|failures| failures.is_empty())).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn everything_is_closed_until_the_overrides_are_known() {
    let volume = Volume::new(&[(API, "1"), (DELIVERY, "1")]);
    let settings = Flags { dir: Some(volume.path().to_owned()), environment: source(&[(Switch::Webhooks, "1")]) };
    let handle = FlagsHandle::start_at(&settings, Clock::system(), WATCH_ONLY).await;
    let closed = handle.current();
    assert!(!closed.external_api && closed.canary_only && !closed.webhooks && !closed.delivery);
    handle.set_overrides(SourceValues::default(), None);
    let open = handle.current();
    assert!(open.external_api && !open.canary_only && open.webhooks && open.delivery);
}

#[test]
fn overrides_narrow_and_the_same_again_changes_nothing() {
    let clock = Clock::manual("2026-03-01T12:00:00Z".parse().unwrap());
    let environment = source(&[(Switch::ExternalApi, "1"), (Switch::Delivery, "1"), (Switch::ApiPercent, "50")]);
    let handle = FlagsHandle::fixed(environment, clock.clone());
    let mut changes = handle.subscribe();
    let start = handle.applied();
    assert_eq!((start.generation, start.changed_at), (0, None));

    let set_at = clock.now();
    clock.advance(Duration::from_millis(300));
    let withdrawn = source(&[(Switch::Delivery, "0"), (Switch::ApiPercent, "75")]);
    for _ in 0..3 {
        handle.set_overrides(withdrawn.clone(), Some(set_at));
    }
    let applied = handle.applied();
    assert_eq!((applied.generation, applied.changed_at, applied.applied_at), (1, Some(set_at), clock.now()));
    assert!(!applied.switches.delivery && applied.switches.external_api);
    assert_eq!(applied.switches.api_cohort.percent.to_string(), "50", "a share above the file's narrows nothing");
    assert!(changes.has_changed().unwrap());
    assert_eq!(changes.borrow_and_update().generation, 1);

    // From a machine whose clock is ahead.
    handle.set_overrides(SourceValues::default(), Some(clock.now() + chrono::TimeDelta::hours(1)));
    let applied = handle.applied();
    assert_eq!((applied.generation, applied.changed_at), (2, Some(clock.now())));
    assert_eq!(applied.fingerprint, start.fingerprint);
}

#[tokio::test]
async fn the_watch_ends_with_the_last_handle() {
    let volume = Volume::new(&[(API, "1")]);
    let handle = open_handle(volume.path(), POLL_ONLY).await;
    let shared = Arc::downgrade(&handle.shared);
    let tasks = tokio::runtime::Handle::current().metrics();
    eventually(SOON, "the task runs", async || tasks.num_alive_tasks() == 1).await;
    drop(handle);
    eventually(SOON, "the task has ended", async || tasks.num_alive_tasks() == 0).await;
    assert!(shared.upgrade().is_none());
}
