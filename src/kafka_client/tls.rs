//! Java's trust and key stores as the PEM and PKCS#12 that librdkafka reads.
//!
//! Refuses JKS, Java's own format and its default, saying how to convert it.

use super::Security;
use crate::diagnostics::{Diagnostic, Spanned};

/// librdkafka's properties, and what is wrong with the given ones.
pub fn translate(
    given: &Security,
    prefix: &str,
    errors: &mut Vec<Diagnostic>,
) -> Vec<(&'static str, String)> {
    let mut stores = Stores { given, prefix, errors, found: Vec::new() };
    stores.trust();
    stores.key();
    stores.copy("ssl.key.password", "ssl.key.password");
    stores.found
}

struct Stores<'a> {
    given: &'a Security,
    prefix: &'a str,
    errors: &'a mut Vec<Diagnostic>,
    found: Vec<(&'static str, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum StoreType {
    Pem,
    Pkcs12,
    Other,
}

impl Stores<'_> {
    fn trust(&mut self) {
        let kind = self.store_type("ssl.truststore.type");
        if let Some(location) = self.given.get("ssl.truststore.location") {
            if kind == StoreType::Pem {
                self.found.push(("ssl.ca.location", location.value.clone()));
            } else {
                self.refuse(
                    location,
                    "ssl.truststore.location",
                    "convert it with `keytool -exportcert -rfc -keystore FILE -alias NAME`, and \
                     set `ssl.truststore.type` = `PEM`",
                );
            }
        }
        if let Some(certificates) = self.given.get("ssl.truststore.certificates") {
            self.inline(
                "ssl.truststore.certificates",
                "ssl.truststore.type",
                kind,
                certificates,
            );
            self.found.push(("ssl.ca.pem", certificates.value.clone()));
        }
        self.no_password_of_pem("ssl.truststore.password", kind);
    }

    fn key(&mut self) {
        let kind = self.store_type("ssl.keystore.type");
        if let Some(location) = self.given.get("ssl.keystore.location") {
            match kind {
                // One file holds both: each reader finds its own PEM block.
                StoreType::Pem => {
                    self.found.push(("ssl.certificate.location", location.value.clone()));
                    self.found.push(("ssl.key.location", location.value.clone()));
                }
                StoreType::Pkcs12 => {
                    self.found.push(("ssl.keystore.location", location.value.clone()));
                    self.copy("ssl.keystore.password", "ssl.keystore.password");
                }
                StoreType::Other => self.refuse(
                    location,
                    "ssl.keystore.location",
                    "convert it with `keytool -importkeystore -srckeystore FILE -destkeystore \
                     FILE.p12 -deststoretype PKCS12`, and set `ssl.keystore.type` = `PKCS12`",
                ),
            }
        }
        for (name, to) in [
            ("ssl.keystore.certificate.chain", "ssl.certificate.pem"),
            ("ssl.keystore.key", "ssl.key.pem"),
        ] {
            if let Some(text) = self.given.get(name) {
                self.inline(name, "ssl.keystore.type", kind, text);
                self.found.push((to, text.value.clone()));
            }
        }
        self.no_password_of_pem("ssl.keystore.password", kind);
    }

    /// Java's default is JKS.
    fn store_type(&self, name: &str) -> StoreType {
        match self.given.get(name).map(|t| t.value.trim().to_uppercase()).as_deref() {
            Some("PEM") => StoreType::Pem,
            Some("PKCS12") => StoreType::Pkcs12,
            _ => StoreType::Other,
        }
    }

    fn copy(&mut self, name: &str, to: &'static str) {
        if let Some(value) = self.given.get(name) {
            self.found.push((to, value.value.clone()));
        }
    }

    fn refuse(&mut self, at: &Spanned<String>, name: &str, hint: &str) {
        let message = format!("the store of `{}{name}` cannot be read", self.prefix);
        let label = "JKS, Java's default type, is read by Java alone";
        self.errors.push(Diagnostic::error(message).at(at.span).label(label).hint(hint));
    }

    /// Java takes certificates in the text of a property only as PEM.
    fn inline(&mut self, name: &str, type_name: &str, kind: StoreType, at: &Spanned<String>) {
        if kind != StoreType::Pem {
            let message = format!("`{0}{name}` needs `{0}{type_name}` = `PEM`", self.prefix);
            self.errors.push(Diagnostic::error(message).at(at.span));
        }
    }

    fn no_password_of_pem(&mut self, name: &str, kind: StoreType) {
        if let (StoreType::Pem, Some(password)) = (kind, self.given.get(name)) {
            let message = format!("`{}{name}` does not go with a PEM store", self.prefix);
            let hint = "the password of an encrypted key is `ssl.key.password`";
            self.errors.push(Diagnostic::error(message).at(password.span).hint(hint));
        }
    }
}
