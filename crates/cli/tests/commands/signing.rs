//! `onering sign` and `onering verify`.

use onering_testkit::scratch_dir;

use crate::running::{Ran, run, run_with_input};

const SECRET: &str = "whsec_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER: &str = "whsec_ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const BODY: &[u8] = br#"{"event_id":"evt_1","data":{"text":"na\u00efve \xff"}}"#;

/// The headers of one scheme for [`BODY`], signed at `timestamp`, or now.
pub(crate) fn headers(secret: &str, scheme: &str, event_id: &str, timestamp: Option<&str>, body: &[u8]) -> Vec<String> {
    let folder = scratch_dir("sign");
    let mut arguments = vec!["sign", "--event-id", event_id];
    arguments.extend(timestamp.into_iter().flat_map(|timestamp| ["--timestamp", timestamp]));
    let environment = [("ONERING_WEBHOOK_SECRET", secret)];
    let printed = run_with_input(folder.path(), &environment, &arguments, body).success();
    let of_scheme = printed.lines().skip_while(|line| *line != format!("# {scheme}")).skip(1);
    of_scheme.take_while(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

fn verify(secret: &str, headers: &[String], body: &[u8], further: &[&str]) -> Ran {
    let folder = scratch_dir("verify");
    let mut arguments = vec!["verify"];
    arguments.extend(headers.iter().flat_map(|header| ["--header", header.as_str()]));
    arguments.extend(further);
    run_with_input(folder.path(), &[("ONERING_WEBHOOK_SECRET", secret)], &arguments, body)
}

#[test]
fn what_is_signed_verifies_in_every_scheme() {
    for scheme in ["x-webhook", "standard-webhooks", "timestamp-body"] {
        let headers = headers(SECRET, scheme, "evt_1", None, BODY);
        let ran = verify(SECRET, &headers, BODY, &[]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.out.starts_with(&format!("genuine ({scheme})")), "{ran:?}");

        for (secret, body) in [(OTHER, BODY), (SECRET, &b"another body"[..])] {
            let ran = verify(secret, &headers, body, &[]);
            assert_eq!(ran.code, Some(1), "{ran:?}");
            assert!(ran.out.contains("does not fit"), "{ran:?}");
        }
    }
}

const KEY_PAIR: &str = "whsk_mK6ezcUx4BZQwzyMB9DPgff/gYdlnPq6qWqb2RWm1NKD6MHflu72DvC+X2X4/wKSVBdgwSbZhkjTFLl97oyLXg==";
const PUBLIC_KEY: &str = "whpk_g+jB35bu9g7wvl9l+P8CklQXYMEm2YZI0xS5fe6Mi14=";

#[test]
fn a_key_pair_signs_and_its_public_half_verifies() {
    let signed = headers(KEY_PAIR, "standard-webhooks-v1a", "evt_1", None, BODY);
    assert!(signed.iter().any(|line| line.starts_with("webhook-signature: v1a,")), "{signed:?}");
    let ran = verify(PUBLIC_KEY, &signed, BODY, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("genuine (standard-webhooks-v1a)"), "{ran:?}");
    let altered = verify(PUBLIC_KEY, &signed, b"another body", &[]);
    assert!(altered.code == Some(1) && altered.out.contains("does not fit"), "{altered:?}");
    let of_the_other_kind = verify(SECRET, &signed, BODY, &[]);
    assert_eq!(of_the_other_kind.code, Some(1), "{of_the_other_kind:?}");

    let mut both = headers(SECRET, "x-webhook", "evt_1", None, BODY);
    both.extend(signed);
    let ran = verify(&format!("{SECRET},{PUBLIC_KEY}"), &both, BODY, &[]);
    assert!(ran.code == Some(0) && ran.out.matches("genuine").count() == 2, "{ran:?}");
}

#[test]
fn all_signatures_of_a_request_must_be_right() {
    let mut both = headers(SECRET, "x-webhook", "evt_1", None, BODY);
    both.extend(headers(OTHER, "standard-webhooks", "evt_1", None, BODY));
    let ran = verify(SECRET, &both, BODY, &[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("genuine (x-webhook)") && ran.out.contains("refused (standard-webhooks)"), "{ran:?}");
}

#[test]
fn an_old_stamp_is_refused_unless_any_age_is_asked_for() {
    let headers = headers(SECRET, "standard-webhooks", "evt_1", Some("1700000000"), BODY);
    let ran = verify(SECRET, &headers, BODY, &[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("too old"), "{ran:?}");
    assert_eq!(verify(SECRET, &headers, BODY, &["--replay-window", "0"]).code, Some(0));
}

#[test]
fn mistakes_are_explained_without_showing_the_secret() {
    let folder = scratch_dir("mistakes");
    let ran = run(folder.path(), &[("ONERING_WEBHOOK_SECRET", "hunter2")], &["sign", "--event-id", "evt_1"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.err.contains("ONERING_WEBHOOK_SECRET") && !ran.err.contains("hunter2"), "{ran:?}");
    let ran = run(folder.path(), &[], &["sign", "--event-id", "evt_1"]);
    assert!(ran.code == Some(1) && ran.err.contains("ONERING_WEBHOOK_SECRET"), "{ran:?}");
    let ran = verify(SECRET, &["X-Other: 1".to_owned()], BODY, &[]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.out.contains("no signature header"), "{ran:?}");
}
