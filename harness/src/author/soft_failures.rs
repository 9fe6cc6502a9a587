//! Failures of soft checks, which count at the end of the function.

use std::sync::{Mutex, PoisonError};

use super::TestError;

/// The recorded failures.
#[derive(Default)]
pub(super) struct Collected(Mutex<Vec<TestError>>);

impl Collected {
    pub(super) fn add(&self, failed: TestError) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(failed);
    }

    /// The final result of a function that ended as `ended`, with the recorded failures.
    pub(super) fn with(&self, ended: Result<(), TestError>) -> Result<(), TestError> {
        let mut all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if all.is_empty() {
            return ended;
        }
        all.extend(ended.err().filter(TestError::applies));
        let sentences: Vec<String> = all.iter().map(|failed| format!("{} ({})", failed.sentence(), failed.at())).collect();
        Err(match (all.pop(), &sentences[..]) {
            (Some(only), [_]) => only,
            (_, sentences) => TestError::of_several(format!("{} checks do not hold: {}", sentences.len(), sentences.join("; "))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_names_all_failed_checks_with_their_lines() {
        let sentences = |collected: &[&str], ended: Result<(), TestError>| {
            let all = Collected::default();
            collected.iter().for_each(|sentence| all.add(TestError::because(*sentence)));
            all.with(ended).map_err(|failed| (failed.sentence().to_owned(), failed.at().to_owned()))
        };
        assert_eq!(sentences(&[], Ok(())), Ok(()));
        assert_eq!(sentences(&[], Err(TestError::because("c"))).unwrap_err().0, "c");
        let (one, at) = sentences(&["a"], Ok(())).unwrap_err();
        assert!(one == "a" && at.contains("soft_failures.rs:"), "{one} {at}");
        let (all, at) = sentences(&["a", "b"], Err(TestError::because("c"))).unwrap_err();
        assert!(all.starts_with("3 checks do not hold: a (") && all.contains("; b (") && all.contains("; c ("), "{all}");
        assert_eq!((all.matches("soft_failures.rs:").count(), at.as_str()), (3, ""));
        let (other, _) = sentences(&["a"], Err(TestError::not_applicable("no mail"))).unwrap_err();
        assert_eq!(other, "a", "what does not hold is not made good by what does not apply");
    }
}
