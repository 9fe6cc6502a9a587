//! Whether the answer that came through the ingress is one that the app's task gives.
//!
//! A page changes from one request to the next: tokens, times, counters. What two answers of the task have in common is stable,
//! and the answer through the ingress has to have that, too.

use std::collections::BTreeSet;

use super::pages::title;
use crate::model::http::HttpView;

/// Whether two sources gave the same answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agreement {
    /// They did.
    Agrees,
    /// They did not.
    Differs {
        /// What differs.
        what: String,
    },
}

/// Compares the answer through the ingress with two answers of the task itself.
pub fn agreement(through_ingress: &HttpView, direct: [&HttpView; 2]) -> Agreement {
    let [first, second] = direct;
    let differs = |what: String| Agreement::Differs { what };
    if first.status != second.status {
        // The task itself is not of one mind, so nothing follows from a difference.
        return Agreement::Agrees;
    }
    if through_ingress.status != first.status {
        return differs(format!("its task answers {} and the ingress {}", first.status, through_ingress.status));
    }
    let kind =
        |view: &HttpView| view.header("content-type").map(|kind| kind.split(';').next().unwrap_or_default().trim().to_owned());
    if let (Some(own), Some(other)) = (kind(first), kind(through_ingress))
        && own != other
        && kind(second).as_ref() == Some(&own)
    {
        return differs(format!("its task answers with {own} and the ingress with {other}"));
    }
    let titles = [first, second, through_ingress].map(|view| title(&view.body));
    if titles[0] == titles[1] && titles[0] != titles[2] {
        let shown = |title: Option<&str>| title.map_or_else(|| "no title".to_owned(), |title| format!("the title {title:?}"));
        return differs(format!("its task answers with {} and the ingress with {}", shown(titles[0]), shown(titles[2])));
    }
    let lines = [first, second, through_ingress].map(|view| lines(&view.body));
    let stable: BTreeSet<&str> = lines[0].intersection(&lines[1]).copied().collect();
    let shared = stable.intersection(&lines[2]).count();
    if shared * 2 < stable.len() {
        return differs("its task answers with another page than the ingress".into());
    }
    Agreement::Agrees
}

fn lines(body: &str) -> BTreeSet<&str> {
    body.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn view(status: u16, kind: &str, body: &str) -> HttpView {
        let headers = (!kind.is_empty()).then(|| ("content-type".to_owned(), kind.to_owned())).into_iter();
        HttpView { status, headers: BTreeMap::from_iter(headers), body: body.into() }
    }

    #[test]
    fn answer_counts_when_it_has_what_is_stable_in_the_tasks_own() {
        let page = |token: &str| view(200, "text/html", &format!("<title>Shop</title>\n<p>a\n<p>b\ntoken={token}"));
        let json = |time: &str| view(200, "application/json", &format!("{{\"time\":{time}}}"));
        for (through, first, second, agrees) in [
            (page("1"), page("2"), page("3"), true),
            (view(200, "text/html", "<title>Blog</title>"), page("2"), page("3"), false),
            (view(200, "text/html", "no title"), page("2"), page("3"), false),
            (view(404, "text/html", "<title>Shop</title>"), page("2"), page("3"), false),
            (
                view(200, "text/plain; charset=utf-8", "hello"),
                view(200, "text/plain", "hello"),
                view(200, "text/plain", "hello"),
                true,
            ),
            (view(200, "text/plain", "other"), view(200, "text/plain", "hello"), view(200, "text/plain", "hello"), false),
            (view(200, "text/html", "{}"), view(200, "application/json", "{}"), view(200, "application/json", "{}"), false),
            (json("1"), json("2"), json("3"), true),
            (view(302, "", ""), view(302, "", ""), view(302, "", ""), true),
            (view(200, "", "a"), view(503, "", ""), view(200, "", "b"), true),
            (view(200, "", ""), view(200, "", "hello"), view(200, "", "hello"), false),
        ] {
            let result = agreement(&through, [&first, &second]);
            assert_eq!(result == Agreement::Agrees, agrees, "{through:?}: {result:?}");
        }
    }
}
