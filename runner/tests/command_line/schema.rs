//! `taster schema` on the command line.

use std::process::{Command, Output};

fn schema(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_taster")).arg("schema").args(args).env_clear().output().expect("taster starts")
}

fn printed(args: &[&str]) -> String {
    let output = schema(args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn every_listed_document_has_a_schema() {
    let listed = printed(&[]);
    assert_eq!(listed, "results\nhost\nrecipe\nevents\ncontext\n");
    for (name, title) in listed.lines().zip(["Results", "Host", "Settings", "Event", "ExecutableContext"]) {
        let text = printed(&[name]);
        assert!(text.ends_with("}\n"), "{name} does not end with a newline");
        let schema: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&schema["title"], &schema["type"]), (&title.into(), &"object".into()), "{name}");
    }
}

#[test]
fn unknown_document_is_usage_with_the_closest_name() {
    let output = schema(&["hots"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    let stderr = String::from_utf8_lossy(&output.stderr);
    for text in ["no document `hots`; did you mean `host`?", "There are: results, host, recipe, events"] {
        assert!(stderr.contains(text), "{stderr}");
    }
    let stderr = schema(&["xyzzy"]).stderr;
    assert!(!String::from_utf8_lossy(&stderr).contains("did you mean"));
}
