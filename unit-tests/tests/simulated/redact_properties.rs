//! Properties of the filter for secrets, over generated secrets and texts.

use harness::redact::{MASK, Redact, SHORTEST};
use proptest::prelude::*;

/// Secrets of up to 40 printable characters, blanks and quotes included.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9]{4,40}",
        "[ -~]{4,24}".prop_filter("a text of blanks is no secret", |text| text.trim().chars().count() >= SHORTEST),
        "[a-z]{2,6}-[a-z]{2,6}-[à-ü]{2,4}",
    ]
}

/// The text as it stands in a URL.
fn percent_encoded(text: &str) -> String {
    let keep = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes().map(|byte| if keep(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

proptest! {
    #[test]
    fn learnt_secret_is_hidden_in_every_form(secrets in prop::collection::vec(secret(), 1..4), around in "[ -~]{0,20}") {
        let redact = Redact::new();
        secrets.iter().for_each(|secret| assert!(redact.learn(secret)));
        let forms = |secret: &String| {
            let json = serde_json::to_string(secret).unwrap();
            [secret.clone(), json[1..json.len() - 1].to_owned(), percent_encoded(secret)]
        };
        let text: String = secrets.iter().flat_map(forms).map(|form| format!("{around}{form}{around}")).collect();

        let shown = redact.text(&text);

        for form in secrets.iter().flat_map(forms) {
            prop_assert!(!shown.contains(&form), "{form:?} in {shown:?}");
        }
    }

    #[test]
    fn secret_within_base64_is_hidden_at_any_offset(secret in "[!-~]{8,40}", before in "[!-~]{0,7}", after in "[!-~]{0,7}") {
        let redact = Redact::new();
        redact.learn(&secret);
        let whole = data_encoding::BASE64.encode(format!("{before}{secret}{after}").as_bytes());

        let shown = redact.text(&whole);

        prop_assert!(shown.contains(MASK));
        // The rest on both sides has at most the bits of the neighbours and of their last characters.
        let left = shown.replace(MASK, "").trim_end_matches('=').len();
        prop_assert!(left * 6 <= (before.len() + after.len()) * 8 + 3 * 8, "{shown}");
    }

    #[test]
    fn text_without_secret_stays_unchanged(secret in "[a-z]{8,20}", text in "[A-Z0-9 \n]{0,200}") {
        let redact = Redact::new();
        redact.learn(&secret);

        prop_assert_eq!(redact.text(&text), text);
    }

    #[test]
    fn escaped_secret_is_hidden_behind_a_backslash(secret in "[nrtu\"\\\\a-c]{4,12}") {
        let redact = Redact::new();
        prop_assume!(redact.learn(&secret));
        let json = serde_json::to_string(&secret).unwrap();
        let escaped = &json[1..json.len() - 1];

        let shown = redact.text(&format!(" \\{escaped} \\"));

        prop_assert!(!shown.contains(escaped), "{shown}");
    }

    #[test]
    fn hidden_text_stays_unchanged_when_hidden_again(secrets in prop::collection::vec(secret(), 1..4), text in "[ -~]{0,80}") {
        let redact = Redact::new();
        secrets.iter().for_each(|secret| assert!(redact.learn(secret)));

        let once = redact.text(&(text + &secrets.concat()));

        prop_assert_eq!(redact.text(&once), once);
    }
}
