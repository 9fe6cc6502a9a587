//! One question to the app: a request, and the redirects that it leads through.

use std::{collections::BTreeSet, fmt, time::Duration};

use crate::{
    engine::steps::shared::context::StepContext,
    model::{head::Head, http::HttpView},
    ports::WebError,
    pure::host::http::{
        pages::{ForeignPage, foreign_page},
        redirect::{Address, Chain, Next},
    },
};

/// How long one request may take.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The header with which the sandbox's ingress marks its own answers.
pub(super) const INGRESS_HEADER: &str = "taster-ingress";
/// The header with which it names what it leaves out of the labels for an answer that it passes on.
pub(super) const WITHOUT_HEADER: &str = "taster-ingress-without";

/// What one question shows about the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ProbeResult {
    /// The app itself answered well.
    App { status: u16 },
    /// The app itself answered with an error.
    AppError { status: u16 },
    /// The app answered well, and its page reports an error.
    ErrorPage { status: u16, says: String },
    /// The answer is the page that a web server brings along.
    DefaultPage { server: &'static str },
    /// Redirects lead round in a circle, or on and on, or nowhere.
    Astray(String),
    /// The ingress knows the name, but cannot reach the app.
    Unreachable(String),
    /// The ingress does not know the name.
    NoRoute,
    /// The sandbox's ingress cannot do what the labels ask for.
    Unsupported,
    /// The ingress does not answer as an ingress should.
    NoIngress(String),
}

impl fmt::Display for ProbeResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProbeResult::App { status } => write!(f, "answered {status}"),
            ProbeResult::AppError { status } => write!(f, "the app answers {status}"),
            ProbeResult::ErrorPage { status, says } => write!(f, "the app answers {status} with a page of an error: {says}"),
            ProbeResult::DefaultPage { server } => write!(f, "the answer is the page that {server} brings along"),
            ProbeResult::Astray(how) => f.write_str(how),
            ProbeResult::Unreachable(how) => write!(f, "the app does not answer: {how}"),
            ProbeResult::NoRoute => write!(f, "the ingress has no route to this name"),
            ProbeResult::Unsupported => f.write_str("the ingress cannot do what the labels ask for"),
            ProbeResult::NoIngress(how) => write!(f, "the ingress does not answer: {how}"),
        }
    }
}

/// The answer to one question.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// What it shows.
    pub(super) result: ProbeResult,
    /// The first answer, before any redirect; absent without one.
    pub(super) first: Option<HttpView>,
    /// The body of the last answer.
    pub(super) body: String,
    /// The addresses that led to the last answer, in one line.
    pub(super) chain: String,
    /// The hosts that were asked.
    pub(super) hosts: BTreeSet<String>,
    /// The address outside the zone that the last answer leads to.
    pub(super) leaves_to: Option<String>,
    /// What the ingress left out of the recipe's labels.
    pub(super) without: BTreeSet<String>,
}

/// Asks the app's health path, and follows its redirects within the zone. Where the pack names statuses, the first answer counts.
pub(super) async fn ask(context: &StepContext<'_>, head: &Head) -> Answer {
    let settings = &context.pack.settings;
    let zone = context.host.zone.to_string();
    let wanted = &settings.health_status;
    let start = Address { secure: true, authority: head.domain.to_string(), path: settings.health_path.as_str().to_owned() };
    let mut chain = Chain::at(start);
    let (mut first, mut without, mut leaves_to) = (None, BTreeSet::new(), None);
    let (result, body) = loop {
        // Quotes of the body are cut, and the rest of a cut secret would not be recognised, so the whole body is redacted first.
        let got = request(context, &chain).await;
        let got = got.map(|view| HttpView { body: context.log.redact(&view.body), ..view });
        let body = got.as_ref().map(|view| view.body.clone()).unwrap_or_default();
        if let Ok(view) = &got {
            first.get_or_insert_with(|| view.clone());
            without.extend(view.header(WITHOUT_HEADER).into_iter().flat_map(str::lines).map(str::to_owned));
        }
        let next = got.as_ref().ok().filter(|_| wanted.is_empty()).map_or(Next::Here, |view| chain.take(view, &zone));
        let astray = |how: String| (ProbeResult::Astray(how), body.clone());
        match next {
            Next::Follow(_) => {}
            Next::Here => break (probe_result(got, wanted), body),
            Next::Leaves(target) => {
                leaves_to = Some(target.to_string());
                break (probe_result(got, wanted), body);
            }
            Next::Loop(_) => break astray(format!("its redirects lead round in a circle: {}", chain.sentence())),
            Next::TooLong => break astray(format!("its redirects do not end: {}", chain.sentence())),
            Next::Nowhere => break astray(format!("its redirect names no address: {}", chain.sentence())),
        }
    };
    let hosts = chain.addresses.iter().map(|address| address.host().to_owned()).collect();
    Answer { result, first, body, chain: chain.sentence(), hosts, leaves_to, without }
}

/// One request. An ingress leads plain HTTP to the same address with TLS, so that is not asked.
async fn request(context: &StepContext<'_>, chain: &Chain) -> Result<HttpView, WebError> {
    let address = chain.last();
    if !address.secure && address.host() == address.authority {
        let secure = Address { secure: true, ..address.clone() }.to_string();
        return Ok(HttpView { status: 308, headers: [("location".to_owned(), secure)].into(), body: String::new() });
    }
    context.ports.web.get(&address.to_string(), &chain.cookie_header(), REQUEST_TIMEOUT).await
}

/// What an answer, or its absence, shows about the app.
fn probe_result(got: Result<HttpView, WebError>, wanted: &BTreeSet<u16>) -> ProbeResult {
    let view = match got {
        Ok(view) => view,
        Err(error @ (WebError::NoConnection { .. } | WebError::BadCertificate { .. } | WebError::Broken { .. })) => {
            return ProbeResult::NoIngress(error.to_string());
        }
        Err(error @ WebError::TimedOut { .. }) => return ProbeResult::Unreachable(error.to_string()),
    };
    let good = |status: u16| match foreign_page(&view) {
        Some(ForeignPage::Default { server }) => ProbeResult::DefaultPage { server },
        Some(ForeignPage::Error { says }) => ProbeResult::ErrorPage { status, says },
        None => ProbeResult::App { status },
    };
    match (view.header(INGRESS_HEADER), view.status) {
        (Some("no-route"), _) => ProbeResult::NoRoute,
        (Some("unsupported"), _) => ProbeResult::Unsupported,
        (Some(reason), status) => ProbeResult::Unreachable(format!("{status} from the ingress ({reason})")),
        // Answers of Traefik itself are recognised by their text alone.
        (None, 404) if view.body.trim() == "404 page not found" && !wanted.contains(&404) => ProbeResult::NoRoute,
        (None, status) if !wanted.is_empty() => match wanted.contains(&status) {
            true => ProbeResult::App { status },
            false => ProbeResult::AppError { status },
        },
        (None, status @ (502..=504)) => {
            ProbeResult::Unreachable(format!("{status} {}", view.body.trim().chars().take(60).collect::<String>()))
        }
        (None, status @ 200..=299) => good(status),
        (None, status @ 300..=399) => ProbeResult::App { status },
        // A page that wants a log-in is an answer of the app.
        (None, status @ (401 | 403)) => ProbeResult::App { status },
        (None, status) => ProbeResult::AppError { status },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(status: u16, header: Option<&str>, body: &str) -> Result<HttpView, WebError> {
        let headers = header.map(|value| (INGRESS_HEADER.to_owned(), value.to_owned())).into_iter().collect();
        Ok(HttpView { status, headers, body: body.into() })
    }

    #[test]
    fn only_an_answer_of_the_app_itself_counts() {
        let says = "its title is \"502 Bad Gateway\"".to_owned();
        for (got, result) in [
            (view(200, None, "hello"), ProbeResult::App { status: 200 }),
            (view(302, None, ""), ProbeResult::App { status: 302 }),
            (view(401, None, ""), ProbeResult::App { status: 401 }),
            (view(404, None, "Not Found"), ProbeResult::AppError { status: 404 }),
            (view(500, None, "oops"), ProbeResult::AppError { status: 500 }),
            (view(200, None, "<title>502 Bad Gateway</title>"), ProbeResult::ErrorPage { status: 200, says }),
            (view(200, None, "<title>Caddy works!</title>"), ProbeResult::DefaultPage { server: "Caddy" }),
            (view(404, Some("no-route"), ""), ProbeResult::NoRoute),
            (view(404, None, "404 page not found\n"), ProbeResult::NoRoute),
            (view(501, Some("unsupported"), ""), ProbeResult::Unsupported),
            (view(502, Some("backend"), ""), ProbeResult::Unreachable("502 from the ingress (backend)".into())),
            (view(502, None, "Bad Gateway"), ProbeResult::Unreachable("502 Bad Gateway".into())),
            (
                Err(WebError::BadCertificate { message: "unknown issuer".into() }),
                ProbeResult::NoIngress("the certificate is not trusted: unknown issuer".into()),
            ),
        ] {
            assert_eq!(probe_result(got.clone(), &BTreeSet::new()), result, "{got:?}");
        }
    }

    #[test]
    fn only_statuses_that_the_pack_names_count() {
        let wanted = BTreeSet::from([204, 404]);
        for (got, result) in [
            (view(204, None, ""), ProbeResult::App { status: 204 }),
            (view(404, None, "no such page"), ProbeResult::App { status: 404 }),
            (view(404, None, "404 page not found"), ProbeResult::App { status: 404 }),
            (view(200, None, "hello"), ProbeResult::AppError { status: 200 }),
            (view(401, None, ""), ProbeResult::AppError { status: 401 }),
            (view(404, Some("no-route"), ""), ProbeResult::NoRoute),
        ] {
            assert_eq!(probe_result(got.clone(), &wanted), result, "{got:?}");
        }
    }
}
