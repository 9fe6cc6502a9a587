//! The texts of an XML or HTML document. Pure.

use super::decodings::entity;

/// `document` with `hide` applied to each text and each value of an attribute. Tags, comments, styles and the document's type
/// stay.
pub(super) fn with_texts(document: &str, hide: &dyn Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(document.len());
    let mut rest = document;
    while let Some(open) = rest.find('<') {
        out.push_str(&hidden(&rest[..open], hide));
        rest = &rest[open..];
        let verbatim =
            [("<!--", "-->"), ("<style", "</style>"), ("<?", "?>")].into_iter().find(|(begin, _)| rest.starts_with(begin));
        if let Some((_, end)) = verbatim {
            let to = rest.find(end).map_or(rest.len(), |at| at + end.len());
            out.push_str(&rest[..to]);
            rest = &rest[to..];
        } else if let Some(data) = rest.strip_prefix("<![CDATA[") {
            let end = data.find("]]>").unwrap_or(data.len());
            out.push_str("<![CDATA[");
            out.push_str(&hide(&data[..end]));
            rest = &data[end..];
        } else {
            rest = tag(rest, &mut out, hide);
        }
    }
    out + &hidden(rest, hide)
}

/// Writes the tag at the beginning of `text` and returns the rest.
fn tag<'a>(text: &'a str, out: &mut String, hide: &dyn Fn(&str) -> String) -> &'a str {
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\'', '>']) {
        let sign = &rest[at..=at];
        out.push_str(&rest[..=at]);
        rest = &rest[at + 1..];
        if sign == ">" {
            return rest;
        }
        let end = rest.find(sign).unwrap_or(rest.len());
        out.push_str(&hidden(&rest[..end], hide));
        rest = &rest[end..];
        if let Some(behind) = rest.strip_prefix(sign) {
            out.push_str(sign);
            rest = behind;
        }
    }
    out.push_str(rest);
    ""
}

/// A text of a document with `hide` applied to its decoded form. It stays as it is written when that changes nothing.
fn hidden(written: &str, hide: &dyn Fn(&str) -> String) -> String {
    let mut means = String::with_capacity(written.len());
    let mut rest = written;
    while let Some(at) = rest.find('&') {
        means.push_str(&rest[..at]);
        let (length, letter) = entity(&rest[at..]).map_or((1, Some('&')), |(length, letter)| (length, letter));
        means.extend(letter);
        rest = &rest[at + length..];
    }
    means.push_str(rest);
    let shown = hide(&means);
    if shown == means {
        return written.to_owned();
    }
    shown.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_in_texts_and_values_alone() {
        let hide = |text: &str| text.replace("te\"st", "•••").replace("class", "•••");
        for (document, shown) in [
            ("<te\"st\">class</te>", "<te\"st\">•••</te>"),
            (r#"<p class="a class">x &amp; te&quot;st</p>"#, r#"<p class="a •••">x &amp; •••</p>"#),
            ("<style>.class{}</style><!-- class -->", "<style>.class{}</style><!-- class -->"),
            ("<a><![CDATA[class]]></a>", "<a><![CDATA[•••]]></a>"),
            ("a &amp; b &nbsp; c", "a &amp; b &nbsp; c"),
        ] {
            assert_eq!(with_texts(document, &hide), shown);
        }
    }
}
