//! Java properties in, librdkafka's out.

use super::*;

fn pairs(properties: &[(&str, &str)]) -> Vec<(Spanned<String>, Spanned<String>)> {
    let mut at = 0;
    let mut spanned = |text: &str| {
        let span = Span::new(at, at + text.len());
        at += text.len() + 1;
        Spanned::new(text.to_owned(), span)
    };
    properties.iter().map(|(name, value)| (spanned(name), spanned(value))).collect()
}

fn read(properties: &[(&str, &str)]) -> Result<ClientProperties, Vec<Diagnostic>> {
    let mut all = vec![("bootstrap.servers", "k:9092")];
    all.extend(properties);
    ClientProperties::from_pairs(pairs(&all), "properties.", Span::default())
}

fn messages(properties: &[(&str, &str)]) -> String {
    let errors = read(properties).unwrap_err();
    errors.iter().map(|e| format!("{} / {:?} / {:?}\n", e.message, e.label, e.hints)).collect()
}

fn consumer(properties: &[(&str, &str)], name: &str) -> Option<String> {
    read(properties).unwrap().consumer_config().get(name).map(str::to_owned)
}

#[test]
fn java_names_become_librdkafkas() {
    let java = [
        ("request.timeout.ms", "20000"),
        ("fetch.max.wait.ms", "250"),
        ("receive.buffer.bytes", "-1"),
        ("isolation.level", "READ_COMMITTED"),
        ("buffer.memory", "33554432"),
        ("acks", "all"),
        ("linger.ms", "5"),
        ("max.poll.records", "500"),
        ("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer"),
    ];
    let properties = read(&java).unwrap();
    let consumer = properties.consumer_config();
    assert_eq!(consumer.get("bootstrap.servers"), Some("k:9092"));
    assert_eq!(consumer.get("socket.timeout.ms"), Some("20000"));
    assert_eq!(consumer.get("fetch.wait.max.ms"), Some("250"));
    assert_eq!(consumer.get("socket.receive.buffer.bytes"), Some("0"));
    assert_eq!(consumer.get("isolation.level"), Some("read_committed"));
    assert_eq!(consumer.get("check.crcs"), Some("true"));
    assert_eq!(consumer.get("acks"), None);
    assert_eq!(consumer.get("max.poll.records"), None);
    let producer = properties.producer_config();
    assert_eq!(producer.get("acks"), Some("-1"));
    assert_eq!(producer.get("linger.ms"), Some("5"));
    assert_eq!(producer.get("queue.buffering.max.kbytes"), Some("32768"));
    assert_eq!(producer.get("fetch.wait.max.ms"), None);
    consumer.create_native_config().unwrap();
    producer.create_native_config().unwrap();
}

#[test]
fn what_we_act_on_ourselves_is_kept_apart() {
    let given = [
        ("group.id", "g"),
        ("auto.offset.reset", "earliest"),
        ("default.api.timeout.ms", "900"),
    ];
    let properties = read(&given).unwrap();
    assert_eq!(properties.group_id(), Some("g"));
    assert_eq!(properties.offset_reset(), OffsetReset::Earliest);
    assert_eq!(properties.api_timeout(), Some(Duration::from_millis(900)));
    assert_eq!(properties.consumer_config().get("group.id"), None);
}

#[test]
fn jaas_gives_user_and_password() {
    let scram = [
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        (
            "sasl.jaas.config",
            "org.apache.kafka.common.security.scram.ScramLoginModule required\n \
             username=\"alice\" password=\"a \\\"b; c\";",
        ),
    ];
    assert_eq!(consumer(&scram, "security.protocol").as_deref(), Some("sasl_ssl"));
    assert_eq!(consumer(&scram, "sasl.mechanisms").as_deref(), Some("SCRAM-SHA-512"));
    assert_eq!(consumer(&scram, "sasl.username").as_deref(), Some("alice"));
    assert_eq!(consumer(&scram, "sasl.password").as_deref(), Some("a \"b; c"));
    let shaded = [
        ("security.protocol", "SASL_PLAINTEXT"),
        ("sasl.mechanism", "PLAIN"),
        (
            "sasl.jaas.config",
            "org.apache.flink.kafka.shaded.org.apache.kafka.common.security.plain.PlainLoginModule \
             required username='u' password=p;",
        ),
    ];
    assert_eq!(consumer(&shaded, "sasl.username").as_deref(), Some("u"));
    assert_eq!(consumer(&shaded, "sasl.password").as_deref(), Some("p"));
}

#[test]
fn librdkafkas_own_names_pass() {
    let native = [
        ("security.protocol", "sasl_plaintext"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", "u"),
        ("sasl.password", "p"),
        ("socket.keepalive.enable", "true"),
    ];
    assert_eq!(consumer(&native, "sasl.username").as_deref(), Some("u"));
    assert_eq!(consumer(&native, "socket.keepalive.enable").as_deref(), Some("true"));
}

#[test]
fn pem_stores_become_files_of_librdkafka() {
    let stores = [
        ("security.protocol", "SSL"),
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.location", "/etc/ca.pem"),
        ("ssl.keystore.type", "pem"),
        ("ssl.keystore.location", "/etc/client.pem"),
        ("ssl.key.password", "k"),
        ("ssl.endpoint.identification.algorithm", ""),
    ];
    assert_eq!(consumer(&stores, "ssl.ca.location").as_deref(), Some("/etc/ca.pem"));
    assert_eq!(
        consumer(&stores, "ssl.certificate.location").as_deref(),
        Some("/etc/client.pem")
    );
    assert_eq!(consumer(&stores, "ssl.key.location").as_deref(), Some("/etc/client.pem"));
    assert_eq!(consumer(&stores, "ssl.key.password").as_deref(), Some("k"));
    let name = "ssl.endpoint.identification.algorithm";
    assert_eq!(consumer(&stores, name).as_deref(), Some("none"));
    let inline =
        [("ssl.truststore.type", "PEM"), ("ssl.truststore.certificates", "-----BEGIN")];
    assert_eq!(consumer(&inline, "ssl.ca.pem").as_deref(), Some("-----BEGIN"));
}

#[test]
fn a_jks_is_refused_with_the_way_out() {
    let text = messages(&[
        ("ssl.truststore.location", "/etc/trust.jks"),
        ("ssl.keystore.location", "/etc/key.jks"),
        ("ssl.keystore.type", "JKS"),
    ]);
    assert!(text.contains("`properties.ssl.truststore.location` cannot be read"), "{text}");
    assert!(text.contains("keytool -exportcert"), "{text}");
    assert!(text.contains("PKCS12"), "{text}");
}

#[test]
fn mistakes_are_told_together_each_at_its_place() {
    let wrong = [
        ("fetch.min.byte", "1"),
        ("fetch.max.bytes", "many"),
        ("interceptor.classes", "a.B"),
        ("isolation.level", "snapshot"),
        ("plugin.library.paths", "/tmp/x.so"),
        ("auto.offset.reset", "newest"),
    ];
    let text = messages(&wrong);
    assert_eq!(text.lines().count(), 6, "{text}");
    assert!(text.contains("unknown property `properties.fetch.min.byte`"), "{text}");
    assert!(text.contains("did you mean `fetch.min.bytes`?"), "{text}");
    let errors = read(&wrong).unwrap_err();
    assert!(errors.iter().all(|e| e.span.is_some()));
}

#[test]
fn sasl_that_would_not_happen_is_an_error() {
    let text = messages(&[("sasl.mechanism", "PLAIN")]);
    assert!(text.contains("SASL is set up, but"), "{text}");
    let text = messages(&[("security.protocol", "SASL_SSL")]);
    assert!(text.contains("`properties.sasl.mechanism` is missing"), "{text}");
    assert!(text.contains("`properties.sasl.jaas.config` is missing"), "{text}");
    let text = messages(&[
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "GSSAPI"),
        ("sasl.jaas.config", "com.sun.security.auth.module.Krb5LoginModule required;"),
    ]);
    assert!(text.contains("`Krb5LoginModule` is not supported"), "{text}");
}

#[test]
fn the_brokers_are_required() {
    let error = ClientProperties::from_pairs([], "properties.", Span::new(3, 9)).unwrap_err();
    assert_eq!(error[0].message, "option `properties.bootstrap.servers` is missing");
    assert_eq!(error[0].span, Some(Span::new(3, 9)));
}

#[test]
fn secrets_are_shown_nowhere() {
    let secret = "s3cr3t";
    let jaas = format!("x.ScramLoginModule required username=\"u\" password=\"{secret}\";");
    let good = [
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "SCRAM-SHA-256"),
        ("sasl.jaas.config", jaas.as_str()),
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.certificates", secret),
        ("ssl.key.password", secret),
    ];
    let shown = format!("{:?}", read(&good).unwrap());
    assert!(!shown.contains(secret), "{shown}");
    assert!(shown.contains("sasl.password"), "{shown}");
    let broken = format!("x.ScramLoginModule required username=u password=\"{secret}");
    let text = messages(&[
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.jaas.config", broken.as_str()),
        ("sasl.pasword", secret),
        ("ssl.keystore.location", "/k.jks"),
        ("ssl.keystore.password", secret),
    ]);
    assert!(!text.contains(secret), "{text}");
    assert!(text.contains("a quote is not closed"), "{text}");
}
