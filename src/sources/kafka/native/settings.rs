//! What the client is told, and whether it understands it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig as Properties;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// Everything that a connection and a fetch need to know.
#[derive(Clone)]
pub struct Settings {
    /// Host and port of each broker that is asked first.
    pub servers: Vec<(String, u16)>,
    pub client_id: String,
    pub tls: Option<Arc<ClientConfig>>,
    pub sasl: Option<Sasl>,
    pub read_committed: bool,
    /// Of one answer, of one partition in it, and the least worth an answer.
    pub fetch_bytes: i32,
    pub partition_bytes: i32,
    pub least_bytes: i32,
    /// How long a broker waits for the least.
    pub fetch_wait: Duration,
    /// How long anything else may take.
    pub request_timeout: Duration,
}

/// Whom to be, and how to prove it.
#[derive(Clone)]
pub struct Sasl {
    pub mechanism: String,
    pub username: String,
    pub password: String,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("servers", &self.servers).finish_non_exhaustive()
    }
}

const DEFAULT_PORT: u16 = 9092;

impl Settings {
    /// From librdkafka's properties.
    ///
    /// # Errors
    /// What is not spoken here, or cannot be read, for a person.
    pub fn new(properties: &Properties) -> Result<Self, String> {
        let mut settings = Self {
            servers: Vec::new(),
            client_id: String::new(),
            tls: None,
            sasl: None,
            read_committed: true,
            fetch_bytes: 16 << 20,
            partition_bytes: 1 << 20,
            least_bytes: 1,
            fetch_wait: Duration::from_millis(500),
            request_timeout: Duration::from_secs(30),
        };
        let mut security = Security::default();
        let given = properties.config_map();
        let mut names: Vec<&str> = given.keys().copied().collect();
        names.sort_unstable();
        for name in names {
            // The map has no secrets.
            let value = properties.get(name).unwrap_or_default();
            settings.take(&mut security, name, value)?;
        }
        settings.secure(security)?;
        Ok(settings)
    }

    fn take<'a>(
        &mut self,
        security: &mut Security<'a>,
        name: &str,
        value: &'a str,
    ) -> Result<(), String> {
        let unspoken = || format!("`{name}` = `{value}` is for librdkafka");
        let bytes = || value.parse::<i32>().ok().filter(|n| *n >= 0).ok_or_else(unspoken);
        let millis = || value.parse::<u64>().map(Duration::from_millis).map_err(|_| unspoken());
        match name {
            "bootstrap.servers" | "metadata.broker.list" => {
                self.servers = servers(value).ok_or_else(unspoken)?;
            }
            "client.id" => value.clone_into(&mut self.client_id),
            "isolation.level" => self.read_committed = value == "read_committed",
            "fetch.max.bytes" => self.fetch_bytes = bytes()?,
            "max.partition.fetch.bytes" | "fetch.message.max.bytes" => {
                self.partition_bytes = bytes()?;
            }
            "fetch.min.bytes" => self.least_bytes = bytes()?,
            "fetch.wait.max.ms" => self.fetch_wait = millis()?,
            "socket.timeout.ms" => self.request_timeout = millis()?,
            "check.crcs" if value == "true" => {}
            "security.protocol" => security.protocol = value,
            "sasl.mechanism" | "sasl.mechanisms" => security.mechanism = value,
            "sasl.username" => security.username = value,
            "sasl.password" => security.password = value,
            "ssl.ca.location" => security.roots.push(Pem::File(value)),
            "ssl.ca.pem" => security.roots.push(Pem::Text(value)),
            "ssl.certificate.location" => security.chain = Some(Pem::File(value)),
            "ssl.certificate.pem" => security.chain = Some(Pem::Text(value)),
            "ssl.key.location" => security.key = Some(Pem::File(value)),
            "ssl.key.pem" => security.key = Some(Pem::Text(value)),
            "ssl.endpoint.identification.algorithm" if value == "https" => {}
            // About librdkafka's own threads, queues and connections, or a group.
            "auto.offset.reset"
            | "enable.auto.commit"
            | "enable.auto.offset.store"
            | "enable.partition.eof"
            | "fetch.queue.backoff.ms"
            | "group.id"
            | "log.connection.close"
            | "queued.max.messages.kbytes"
            | "reconnect.backoff.max.ms" => {}
            _ => return Err(format!("`{name}` is for librdkafka")),
        }
        Ok(())
    }

    fn secure(&mut self, security: Security<'_>) -> Result<(), String> {
        let protocol = security.protocol.to_ascii_lowercase();
        let (with_sasl, transport) = match protocol.strip_prefix("sasl_") {
            Some(transport) => (true, transport),
            None => (false, protocol.as_str()),
        };
        match transport {
            "" | "plaintext" => {}
            "ssl" => self.tls = Some(Arc::new(security.tls()?)),
            other => return Err(format!("security protocol {other} is for librdkafka")),
        }
        if with_sasl {
            if !["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"].contains(&security.mechanism) {
                return Err(format!("SASL {} is for librdkafka", security.mechanism));
            }
            self.sasl = Some(Sasl {
                mechanism: security.mechanism.to_owned(),
                username: security.username.to_owned(),
                password: security.password.to_owned(),
            });
        }
        Ok(())
    }
}

/// `host:port,…`, as `None` where it is written in another way.
fn servers(list: &str) -> Option<Vec<(String, u16)>> {
    let server = |text: &str| {
        if text.contains("://") {
            return None;
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') => (host, port.parse().ok()?),
            _ => (text, DEFAULT_PORT),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then(|| (host.to_owned(), port))
    };
    let named = list.split(',').map(str::trim).filter(|text| !text.is_empty());
    named.map(server).collect()
}

/// What is understood only together.
#[derive(Default)]
struct Security<'a> {
    protocol: &'a str,
    mechanism: &'a str,
    username: &'a str,
    password: &'a str,
    roots: Vec<Pem<'a>>,
    chain: Option<Pem<'a>>,
    key: Option<Pem<'a>>,
}

#[derive(Clone, Copy)]
enum Pem<'a> {
    File(&'a str),
    Text(&'a str),
}

impl Pem<'_> {
    fn read(self) -> Result<Vec<u8>, String> {
        match self {
            Pem::File(path) => std::fs::read(path).map_err(|e| format!("{path}: {e}")),
            Pem::Text(text) => Ok(text.as_bytes().to_vec()),
        }
    }

    fn certificates(self) -> Result<Vec<CertificateDer<'static>>, String> {
        let pem = self.read()?;
        CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|e| e.to_string())
    }
}

impl Security<'_> {
    fn tls(&self) -> Result<ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        for pem in &self.roots {
            for certificate in pem.certificates()? {
                roots.add(certificate).map_err(|e| e.to_string())?;
            }
        }
        if self.roots.is_empty() {
            // A certificate of the system's that cannot be read trusts no one.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .with_root_certificates(roots);
        match (self.chain, self.key) {
            (Some(chain), Some(key)) => {
                let key = PrivateKeyDer::from_pem_slice(&key.read()?)
                    .map_err(|e| format!("the client's key: {e}"))?;
                builder
                    .with_client_auth_cert(chain.certificates()?, key)
                    .map_err(|e| e.to_string())
            }
            _ => Ok(builder.with_no_client_auth()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(properties: &[(&str, &str)]) -> Result<Settings, String> {
        let mut config = Properties::new();
        config.set("bootstrap.servers", "a:1, b ,[::1]:3");
        for (name, value) in properties {
            config.set(*name, *value);
        }
        Settings::new(&config)
    }

    #[test]
    fn servers_are_hosts_with_ports() {
        let expected = [("a", 1), ("b", 9092), ("::1", 3)];
        let expected = expected.map(|(host, port)| (host.to_owned(), port));
        assert_eq!(of(&[]).unwrap().servers, expected);
    }

    #[test]
    fn what_is_not_spoken_is_left_to_librdkafka() {
        for (name, value) in [
            ("client.rack", "a"),
            ("ssl.keystore.location", "/k.p12"),
            ("ssl.endpoint.identification.algorithm", "none"),
            ("check.crcs", "false"),
            ("security.protocol", "sasl_kerberos"),
        ] {
            let why = of(&[(name, value)]).unwrap_err();
            assert!(why.contains("librdkafka"), "{why}");
        }
        assert!(of(&[("isolation.level", "read_uncommitted")]).is_ok());
        let scram = [
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.username", "u"),
            ("sasl.password", "secret"),
        ];
        let settings = of(&scram).unwrap();
        assert_eq!(settings.sasl.as_ref().unwrap().password, "secret");
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
