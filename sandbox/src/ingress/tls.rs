//! The sandbox's own CA and the certificate for all names in its zone.
//!
//! The CA may sign for the zone only, so trusting it is safe. No trust store is changed: clients read the CA from its file.

use jiff::{Span, civil::Date};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, date_time_ymd,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::SandboxError,
    home::{Home, files},
};

/// The number of days before its end at which a certificate is renewed.
const RENEW_BEFORE: i32 = 30;
/// The lifetime of the certificate, in days.
const LEAF_DAYS: i32 = 397;
/// The lifetime of the CA, in years.
const CA_YEARS: i32 = 10;

/// The keys and certificates, in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tls {
    zone: String,
    ca: String,
    ca_key: String,
    ca_until: Date,
    /// The certificate of the zone.
    pub(crate) leaf: String,
    /// Its key.
    pub(crate) leaf_key: String,
    leaf_until: Date,
}

/// A date for rcgen. A macro, because the type is of a crate that this package does not depend on.
macro_rules! rcgen_date {
    ($date:expr) => {{
        let date: Date = $date;
        date_time_ymd(date.year().into(), date.month().unsigned_abs(), date.day().unsigned_abs())
    }};
}

/// The keys that have to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Renewal {
    None,
    Leaf,
    All,
}

fn renewal(tls: Option<&Tls>, zone: &str, today: Date) -> Renewal {
    let soon = today.saturating_add(Span::new().days(RENEW_BEFORE));
    match tls {
        Some(tls) if tls.zone == zone && tls.ca_until > soon => {
            if tls.leaf_until > soon {
                Renewal::None
            } else {
                Renewal::Leaf
            }
        }
        _ => Renewal::All,
    }
}

/// The keys of the sandbox, created or renewed when `today` requires it. Returns whether any was.
pub(crate) fn ensure(home: &Home, zone: &str, today: Date) -> Result<(Tls, bool), SandboxError> {
    let file = home.root().join("tls.toml");
    let old: Option<Tls> = files::read(&file);
    let created = match (renewal(old.as_ref(), zone, today), old) {
        (Renewal::None, Some(tls)) => {
            files::replace(&home.ca(), tls.ca.as_bytes(), 0o644)?;
            return Ok((tls, false));
        }
        (Renewal::Leaf, Some(tls)) => renew(tls, today),
        (Renewal::All | Renewal::Leaf | Renewal::None, _) => create(zone, today),
    };
    let tls = created.map_err(|source| SandboxError::Certificate { source })?;
    files::write(&file, &tls)?;
    files::replace(&home.ca(), tls.ca.as_bytes(), 0o644)?;
    Ok((tls, true))
}

fn create(zone: &str, today: Date) -> Result<Tls, rcgen::Error> {
    let until = today.saturating_add(Span::new().years(CA_YEARS));
    let key = KeyPair::generate()?;
    let ca = ca_params(zone, today, until)?.self_signed(&key)?;
    let empty = Tls {
        zone: zone.to_owned(),
        ca: ca.pem(),
        ca_key: key.serialize_pem(),
        ca_until: until,
        leaf: String::new(),
        leaf_key: String::new(),
        leaf_until: today,
    };
    renew(empty, today)
}

fn renew(tls: Tls, today: Date) -> Result<Tls, rcgen::Error> {
    let until = today.saturating_add(Span::new().days(LEAF_DAYS));
    let issuer = Issuer::new(ca_params(&tls.zone, today, tls.ca_until)?, KeyPair::from_pem(&tls.ca_key)?);
    let mut params = CertificateParams::new(vec![tls.zone.clone(), format!("*.{}", tls.zone)])?;
    params.distinguished_name = Default::default();
    params.distinguished_name.push(DnType::CommonName, &tls.zone);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params.not_before = rcgen_date!(today.saturating_sub(Span::new().days(1)));
    params.not_after = rcgen_date!(until);
    let key = KeyPair::generate()?;
    let leaf = params.signed_by(&key, &issuer)?;
    Ok(Tls { leaf: leaf.pem(), leaf_key: key.serialize_pem(), leaf_until: until, ..tls })
}

fn ca_params(zone: &str, from: Date, until: Date) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = Default::default();
    params.distinguished_name.push(DnType::CommonName, "taster sandbox CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName(zone.to_owned())],
        excluded_subtrees: Vec::new(),
    });
    params.not_before = rcgen_date!(from.saturating_sub(Span::new().days(1)));
    params.not_after = rcgen_date!(until);
    Ok(params)
}

#[cfg(test)]
mod tests {
    use jiff::{ToSpan, civil::date};

    use super::*;

    #[test]
    fn keys_are_created_once_and_renewed_before_they_expire() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let today = date(2026, 11, 21);
        let (first, created) = ensure(&home, "taster.test", today).unwrap();
        assert!(created);
        for (day, zone, leaf, ca) in [
            (today, "taster.test", false, false),
            (today + 366.days(), "taster.test", false, false),
            (today + 367.days(), "taster.test", true, false),
            (today + 10.years(), "taster.test", true, true),
            (today, "other.test", true, true),
        ] {
            files::write(&folder.path().join("tls.toml"), &first).unwrap();
            let (now, created) = ensure(&home, zone, day).unwrap();
            assert_eq!((now.leaf != first.leaf, now.ca != first.ca), (leaf, ca), "{day} {zone}");
            assert_eq!(created, leaf || ca);
            assert_eq!(std::fs::read_to_string(home.ca()).unwrap(), now.ca);
        }
    }
}
