use proptest::option;
use proptest::prelude::*;

use super::*;

fn source(values: &[(Switch, &str)]) -> SourceValues {
    let mut source = SourceValues::default();
    for (switch, text) in values {
        source.set(*switch, text).unwrap();
    }
    source
}

#[test]
fn names_lead_back_to_their_switch() {
    for switch in Switch::ALL {
        assert_eq!(switch.name().parse(), Ok(switch));
        assert_eq!(serde_json::to_value(switch).unwrap(), switch.name());
        assert!(switch.parse_value(switch.default_text()).is_ok());
    }
    assert_eq!("onering_webhooks_enabled".parse::<Switch>(), Err(SwitchError::UnknownName));
}

#[test]
fn on_and_off_are_read_as_people_write_them() {
    for (text, on) in [("1", true), ("true", true), ("ON", true), ("0\n", false), (" False ", false), ("off", false)] {
        assert_eq!(Switch::Webhooks.parse_value(text), Ok(Value::OnOff(on)), "{text:?}");
    }
    for text in ["", "2", "yes", "01", "o n", "disabled"] {
        let error = Switch::Webhooks.parse_value(text).unwrap_err();
        assert_eq!(error.to_string(), "ONERING_WEBHOOKS_ENABLED must be 0, 1, true, false, on or off", "{text:?}");
    }
}

#[test]
fn a_bad_share_or_salt_is_refused() {
    for text in ["", "-1", "101", "five", "5%"] {
        let refused = Err(SwitchError::Percent { switch: Switch::ApiPercent });
        assert_eq!(Switch::ApiPercent.parse_value(text), refused, "{text:?}");
    }
    for text in ["", " \n", "a\u{0}b", &"x".repeat(129)] {
        assert_eq!(Switch::CohortSalt.parse_value(text), Err(SwitchError::Text { switch: Switch::CohortSalt }));
    }
}

#[test]
fn overrides_that_would_change_nothing_are_refused() {
    let cases = [
        (Switch::ExternalApi, "0", true),
        (Switch::ExternalApi, "1", false),
        (Switch::Webhooks, "1", false),
        (Switch::Delivery, "off", true),
        (Switch::CanaryOnly, "1", true),
        (Switch::CanaryOnly, "0", false),
        (Switch::ApiPercent, "5", true),
        (Switch::WebhookPercent, "100", true),
        (Switch::CohortSalt, "anew", false),
    ];
    for (switch, text, accepted) in cases {
        assert_eq!(switch.parse_override(text).is_ok(), accepted, "{switch}={text}");
    }
    assert!(matches!(Switch::Delivery.parse_override("maybe"), Err(SwitchError::OnOff { .. })));
}

#[test]
fn nothing_said_is_all_off() {
    let nothing = SourceValues::default();
    assert_eq!(resolve(&nothing, &nothing, &nothing), Switches::default());
}

/// (environment, file, override) → in force, for a switch that opens.
#[test]
fn opening_switches_merge_by_this_table() {
    let cases = [
        (None, None, None, false),
        (Some("1"), None, None, true),
        (Some("0"), None, None, false),
        (Some("0"), Some("1"), None, true),
        (Some("1"), Some("0"), None, false),
        (None, Some("1"), Some("1"), true),
        (None, Some("1"), Some("0"), false),
        (None, Some("0"), Some("1"), false),
        (None, None, Some("1"), false),
    ];
    for switch in [Switch::ExternalApi, Switch::Webhooks, Switch::Delivery] {
        for (env, file, over, expected) in cases {
            let [env, file, over] =
                [env, file, over].map(|text| text.map(|text| source(&[(switch, text)])).unwrap_or_default());
            let switches = resolve(&env, &file, &over);
            assert_eq!(switches.value(switch), Value::OnOff(expected), "{switch}: {env:?} {file:?} {over:?}");
        }
    }
}

#[test]
fn canary_only_merges_the_other_way_round() {
    let cases = [
        ("0", None, false),
        ("0", Some("0"), false),
        ("0", Some("1"), true),
        ("1", Some("0"), true),
        ("1", None, true),
    ];
    for (file, over, expected) in cases {
        let file = source(&[(Switch::CanaryOnly, file)]);
        let over = over.map(|text| source(&[(Switch::CanaryOnly, text)])).unwrap_or_default();
        assert_eq!(resolve(&SourceValues::default(), &file, &over).canary_only, expected);
    }
}

#[test]
fn shares_take_the_smaller_and_the_salt_is_the_files() {
    let env = source(&[(Switch::ApiPercent, "10"), (Switch::CohortSalt, "env")]);
    let files = source(&[(Switch::ApiPercent, "50"), (Switch::CohortSalt, "file")]);
    let over = source(&[(Switch::ApiPercent, "25"), (Switch::WebhookPercent, "5"), (Switch::CohortSalt, "over")]);
    let switches = resolve(&env, &files, &over);
    assert_eq!(switches.api_cohort, Cohort { percent: "25".parse().unwrap(), salt: "file".to_owned() });
    assert_eq!(switches.webhook_cohort, Cohort { percent: "5".parse().unwrap(), salt: "file".to_owned() });
    let wider = source(&[(Switch::ApiPercent, "75")]);
    assert_eq!(resolve(&env, &files, &wider).api_cohort.percent.to_string(), "50");
}

fn sources() -> impl Strategy<Value = SourceValues> {
    let on = || option::of(any::<bool>());
    let share = || option::of((0_u32..=100_000).prop_map(|share| Percent::from_thousandths(share).unwrap()));
    (on(), on(), on(), on(), share(), share(), option::of("[a-z]{1,6}")).prop_map(
        |(external_api, canary_only, webhooks, delivery, api_percent, webhook_percent, cohort_salt)| SourceValues {
            external_api,
            canary_only,
            webhooks,
            delivery,
            api_percent,
            webhook_percent,
            cohort_salt,
        },
    )
}

/// Nothing is open in `narrow` that is closed in `wide`.
fn is_within(narrow: &Switches, wide: &Switches) -> bool {
    narrow.external_api <= wide.external_api
        && narrow.canary_only >= wide.canary_only
        && narrow.webhooks <= wide.webhooks
        && narrow.delivery <= wide.delivery
        && narrow.api_cohort.percent <= wide.api_cohort.percent
        && narrow.webhook_cohort.percent <= wide.webhook_cohort.percent
        && narrow.api_cohort.salt == wide.api_cohort.salt
        && narrow.webhook_cohort.salt == wide.webhook_cohort.salt
}

proptest! {
    #[test]
    fn overrides_only_narrow(env in sources(), files in sources(), over in sources()) {
        let open = resolve(&env, &files, &SourceValues::default());
        prop_assert!(is_within(&resolve(&env, &files, &over), &open));
    }

    #[test]
    fn what_a_file_says_silences_the_environment(env in sources(), other in sources(), files in sources(), over in sources()) {
        let [one, another] = [env, other].map(|env| resolve(&env, &files, &over));
        for switch in Switch::ALL {
            if files.get(switch).is_some() {
                prop_assert_eq!(one.value(switch), another.value(switch));
            }
        }
    }

    #[test]
    fn values_survive_their_text(values in sources()) {
        let mut read_back = SourceValues::default();
        for (switch, value) in values.iter() {
            read_back.set(switch, &value.to_string()).unwrap();
        }
        prop_assert_eq!(read_back, values);
    }

    #[test]
    fn equal_fingerprints_mean_equal_switches(one in sources(), other in sources()) {
        let nothing = SourceValues::default();
        let [one, other] = [one, other].map(|files| resolve(&nothing, &files, &nothing));
        prop_assert_eq!(one == other, one.fingerprint() == other.fingerprint());
    }
}
