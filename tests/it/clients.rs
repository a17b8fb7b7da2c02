//! Whoever fetches, the rows are the same: each test runs with the native client
//! and with librdkafka.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use turnstile::broker::{Api, EmbeddedBroker, ErrorCode, Record};

use super::kafka::{client, fresh_topic};
use super::support::{Kafka, python, root, text, turnstile};

const CLIENTS: [&str; 2] = ["librdkafka", "native"];

/// Runs a bounded job over a topic with that client.
fn run(
    client: &str,
    folder: &Path,
    columns: [&str; 3],
    topic: &str,
    properties: &str,
) -> Output {
    let [declared, written, selected] = columns;
    let script = format!(
        "CREATE TABLE t ({declared}) WITH ('connector'='kafka','topic'='{topic}',{properties},\
         'properties.default.api.timeout.ms'='8000','scan.startup.mode'='earliest-offset',\
         'scan.bounded.mode'='latest-offset','format'='raw');\n\
         CREATE TABLE o ({written}) WITH ('connector'='filesystem','path'='{}',\
         'format'='parquet');\nINSERT INTO o SELECT {selected} FROM t;\n",
        folder.join(client).display()
    );
    let file = folder.join(format!("{client}.sql"));
    std::fs::write(&file, script).unwrap();
    let mut command = turnstile();
    command.env("TURNSTILE_KAFKA_CLIENT", client).arg("run").arg(&file).output().unwrap()
}

/// What DuckDB reads below `folder`, in order.
fn read(python: &Path, folder: &Path) -> String {
    let program = "import duckdb, sys\n\
        for row in duckdb.execute('select * from read_parquet(?) order by all', \
        [sys.argv[1] + '/*.parquet']).fetchall(): print(row)";
    let output = Command::new(python).args(["-c", program]).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

fn brokers(address: &str) -> String {
    format!("'properties.bootstrap.servers'='{address}'")
}

/// Keys, headers, times, tombstones, every compression, transactions that were
/// committed, aborted and are open.
#[test]
fn both_read_the_same_of_a_real_kafka() {
    let (Some(kafka), Some(python)) = (Kafka::get(), python()) else { return };
    let topic = fresh_topic(&kafka.address, "clients", 3);
    let send = |producer: &BaseProducer, codec: &str, from: i64, count: i64| {
        for i in from..from + count {
            let payload = format!("{codec} {i} {}", "x".repeat((i % 50) as usize * 10));
            let (key, headers) = (format!("k{i}"), OwnedHeaders::new());
            let headers = headers
                .insert(Header { key: "codec", value: Some(codec) })
                .insert(Header::<&str> { key: "none", value: None });
            let mut record = BaseRecord::<str, str>::to(&topic)
                .partition((i % 3) as i32)
                .timestamp(1_700_000_000_000 + i);
            if i % 7 != 0 {
                record = record.payload(&payload);
            }
            if i % 5 != 0 {
                record = record.key(&key).headers(headers);
            }
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(Duration::from_secs(30)).unwrap();
    };
    let mut sent = 0;
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let mut config = client(&kafka.address);
        let producer: BaseProducer = config.set("compression.type", codec).create().unwrap();
        send(&producer, codec, sent, 2000);
        sent += 2000;
    }
    let transactional = |id: &str| {
        let mut config: ClientConfig = client(&kafka.address);
        config.set("transactional.id", format!("{topic}-{id}"));
        let producer: BaseProducer = config.create().unwrap();
        producer.init_transactions(Duration::from_secs(30)).unwrap();
        producer
    };
    let (one, other) = (transactional("one"), transactional("other"));
    for round in 0..4 {
        one.begin_transaction().unwrap();
        other.begin_transaction().unwrap();
        send(&one, "committed", sent, 10);
        send(&other, "aborted", sent, 10);
        sent += 10;
        if round % 2 == 0 {
            one.commit_transaction(Duration::from_secs(30)).unwrap();
            other.abort_transaction(Duration::from_secs(30)).unwrap();
        } else {
            other.abort_transaction(Duration::from_secs(30)).unwrap();
            one.commit_transaction(Duration::from_secs(30)).unwrap();
        }
    }
    one.begin_transaction().unwrap();
    send(&one, "open", sent, 10);

    let folder = tempfile::tempdir().unwrap();
    let declared = "v STRING, p INT METADATA FROM 'partition', o BIGINT METADATA FROM 'offset', \
        ts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp', \
        tt STRING METADATA FROM 'timestamp-type', le INT METADATA FROM 'leader-epoch', \
        h MAP<STRING, BYTES> METADATA FROM 'headers'";
    let written = "p INT, o BIGINT, v STRING, ts BIGINT, tt STRING, le INT, \
        codec STRING, n INT";
    let selected = "p, o, v, UNIX_TIMESTAMP(CAST(ts AS STRING)), tt, le, CAST(h['codec'] AS STRING) AS codec, CARDINALITY(h) AS n";
    let rows = CLIENTS.map(|client| {
        let columns = [declared, written, selected];
        let output = run(client, folder.path(), columns, &topic, &brokers(&kafka.address));
        assert!(output.status.success(), "{client}: {}", text(&output));
        read(&python, &folder.path().join(client))
    });
    let lines: Vec<&str> = rows[0].lines().collect();
    // A tombstone is a row without a value.
    assert_eq!(lines.len() as i64, sent);
    assert!(!rows[0].contains("aborted") && !rows[0].contains("open"));
    assert_eq!(
        rows[0].matches("'committed ").count(),
        (10_000..10_040).filter(|i| i % 7 != 0).count()
    );
    assert!(rows[0] == rows[1], "they differ");
    one.abort_transaction(Duration::from_secs(30)).unwrap();
}

/// What brokers say on a bad day costs time, not messages.
#[test]
fn both_get_over_what_brokers_say() {
    let Some(python) = python() else { return };
    const MESSAGES: i64 = 20_000;
    for client in CLIENTS {
        let broker = EmbeddedBroker::start().unwrap();
        broker.create_topic("t", 2).unwrap();
        for i in 0..MESSAGES / 100 {
            let value =
                |n: i64| Some(format!("{:06} {}", i * 100 + n, "y".repeat(300)).into_bytes());
            let batch: Vec<_> =
                (0..100).map(|n| Record { value: value(n), ..Record::default() }).collect();
            broker.append("t", (i % 2) as i32, &batch).unwrap();
        }
        let faults = broker.faults();
        for code in [
            ErrorCode::NotLeaderOrFollower,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::LeaderNotAvailable,
        ] {
            faults.fail_next(Api::Fetch, code, 2);
        }
        faults.disconnect_next_of(Api::Fetch, 2);
        faults.lose_replies(Api::Fetch, 2);
        let folder = tempfile::tempdir().unwrap();
        let columns = ["v STRING", "v INT", "CAST(SUBSTRING(v, 1, 6) AS INT)"];
        let output = run(client, folder.path(), columns, "t", &brokers(&broker.address()));
        assert!(output.status.success(), "{client}: {}", text(&output));
        let expected: String = (0..MESSAGES).map(|i| format!("({i},)\n")).collect();
        assert!(read(&python, &folder.path().join(client)) == expected, "{client}");
        assert_eq!(faults.pending(), 0, "{client}");
    }
}

/// A real Kafka with TLS and SASL, stopped at the end.
struct SecureKafka {
    folder: tempfile::TempDir,
    port: u16,
}

const USER: &str = "alice";
const PASSWORD: &str = "alice-secret";

impl SecureKafka {
    fn start() -> Option<Self> {
        // With a plain one first, which fetches what a broker needs.
        drop(Kafka::get()?);
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path();
        let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let pem = key.signing_key.serialize_pem() + &key.cert.pem();
        std::fs::write(own.join("server.pem"), pem).unwrap();
        std::fs::write(own.join("cert.pem"), key.cert.pem()).unwrap();
        let port = 19792;
        let mut extra = format!(
            "listeners=PLAINTEXT://127.0.0.1:{0},CONTROLLER://127.0.0.1:{1},\
             SASL_PLAINTEXT://127.0.0.1:{2},SASL_SSL://127.0.0.1:{3},SSL://127.0.0.1:{4}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{0},SASL_PLAINTEXT://127.0.0.1:{2},\
             SASL_SSL://127.0.0.1:{3},SSL://127.0.0.1:{4}\n\
             sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN\n\
             connections.max.reauth.ms=600000\n\
             ssl.keystore.type=PEM\nssl.keystore.location={5}\n",
            port,
            port + 1,
            port + 2,
            port + 3,
            port + 4,
            own.join("server.pem").display()
        );
        for listener in ["sasl_plaintext", "sasl_ssl"] {
            let module = "org.apache.kafka.common.security";
            for scram in ["scram-sha-256", "scram-sha-512"] {
                extra += &format!(
                    "listener.name.{listener}.{scram}.sasl.jaas.config=\
                     {module}.scram.ScramLoginModule required;\n"
                );
            }
            extra += &format!(
                "listener.name.{listener}.plain.sasl.jaas.config={module}.plain.PlainLoginModule \
                 required user_{USER}=\"{PASSWORD}\";\n"
            );
        }
        std::fs::write(own.join("extra.properties"), extra).unwrap();
        let kafka = Self { folder, port };
        let output = kafka.script("up").output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        Some(kafka)
    }

    fn script(&self, what: &str) -> Command {
        let own = self.folder.path();
        let users = ["256", "512"].map(|bits| {
            format!("--add-scram SCRAM-SHA-{bits}=[name={USER},password={PASSWORD}]")
        });
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache
            .unwrap_or_else(|| PathBuf::from(std::env::var("HOME").unwrap()).join(".cache"));
        let mut command = Command::new(root().join("tests/kafka.sh"));
        command
            .args([what, &self.port.to_string()])
            .env("KAFKA_ROOT", own.join("kafka"))
            .env("KAFKA_JARS", cache.join("turnstile/kafka"))
            .env("KAFKA_EXTRA", own.join("extra.properties"))
            .env("KAFKA_FORMAT_ARGS", users.join(" "));
        command
    }

    /// Properties of a table that is read from the listener of that protocol.
    fn properties(&self, protocol: &str, mechanism: &str, password: &str) -> String {
        let port = match protocol {
            "SASL_PLAINTEXT" => self.port + 2,
            "SASL_SSL" => self.port + 3,
            _ => self.port + 4,
        };
        let mut properties = format!(
            "{},'properties.security.protocol'='{protocol}'",
            brokers(&format!("127.0.0.1:{port}"))
        );
        if protocol.ends_with("SSL") {
            properties += &format!(
                ",'properties.ssl.truststore.type'='PEM','properties.ssl.truststore.location'='{}'",
                self.folder.path().join("cert.pem").display()
            );
        }
        if protocol.starts_with("SASL") {
            let module = match mechanism {
                "PLAIN" => "plain.PlainLoginModule",
                _ => "scram.ScramLoginModule",
            };
            properties += &format!(
                ",'properties.sasl.mechanism'='{mechanism}','properties.sasl.jaas.config'=\
                 'org.apache.kafka.common.security.{module} required username=\"{USER}\" \
                 password=\"{password}\";'"
            );
        }
        properties
    }
}

impl Drop for SecureKafka {
    fn drop(&mut self) {
        let _ = self.script("down").output();
    }
}

#[test]
fn both_prove_who_they_are() {
    let Some(kafka) = SecureKafka::start() else { return };
    let address = format!("127.0.0.1:{}", kafka.port);
    let topic = fresh_topic(&address, "secret", 2);
    let producer: BaseProducer = client(&address).create().unwrap();
    for i in 0..500 {
        let payload = i.to_string();
        let record = BaseRecord::<(), str>::to(&topic).partition(i % 2).payload(&payload);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(Duration::from_secs(30)).unwrap();
    let columns = ["v STRING", "v STRING", "v"];
    let ways = [
        ("SSL", ""),
        ("SASL_PLAINTEXT", "PLAIN"),
        ("SASL_PLAINTEXT", "SCRAM-SHA-256"),
        ("SASL_SSL", "PLAIN"),
        ("SASL_SSL", "SCRAM-SHA-512"),
    ];
    for client in CLIENTS {
        for (protocol, mechanism) in ways {
            let folder = tempfile::tempdir().unwrap();
            let properties = kafka.properties(protocol, mechanism, PASSWORD);
            let output = run(client, folder.path(), columns, &topic, &properties);
            let said = format!("{client} {protocol} {mechanism}: {}", text(&output));
            assert!(output.status.success(), "{said}");
            assert_eq!(super::kafka::rows_in(&folder.path().join(client)), 500, "{said}");
        }
        for (protocol, mechanism) in &ways[1..3] {
            let folder = tempfile::tempdir().unwrap();
            let properties = kafka.properties(protocol, mechanism, "wrong");
            let output = run(client, folder.path(), columns, &topic, &properties);
            assert_eq!(output.status.code(), Some(2), "{client}: {}", text(&output));
            assert!(text(&output).contains("do not let us in"), "{client}: {}", text(&output));
        }
    }
}

/// What the native client does not speak is refused where it is asked for by
/// name, and left to librdkafka else.
#[test]
fn what_native_does_not_speak_is_told() {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", 1).unwrap();
    let properties = brokers(&broker.address()) + ",'properties.client.rack'='a'";
    let columns = ["v STRING", "v STRING", "v"];
    for (client, code) in [("native", 2), ("auto", 0)] {
        let folder = tempfile::tempdir().unwrap();
        let output = run(client, folder.path(), columns, "t", &properties);
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        if client == "native" {
            assert!(
                text(&output).contains("`client.rack` is for librdkafka"),
                "{}",
                text(&output)
            );
        }
    }
}
