//! A topic that was deleted and made anew under its name: offsets of before mean
//! other messages now.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, Producer as _};
use turnstile::broker::EmbeddedBroker;

use super::kafka::{client, rows_in, send};
use super::support::{Kafka, text, turnstile};

struct Job {
    address: String,
    topic: String,
    folder: tempfile::TempDir,
}

impl Job {
    fn new(address: &str) -> Self {
        let topic = format!("anew-{}", uuid::Uuid::new_v4().simple());
        let (address, folder) = (address.to_owned(), tempfile::tempdir().unwrap());
        let job = Self { address, topic, folder };
        let script = format!(
            "CREATE TABLE t (v BIGINT) WITH ('connector'='kafka','topic'='{}',\
             'properties.bootstrap.servers'='{}','scan.startup.mode'='earliest-offset',\
             'scan.topic-partition-discovery.interval'='500 ms','format'='csv');\n\
             CREATE TABLE o (v BIGINT) WITH ('connector'='filesystem','path'='{}',\
             'format'='parquet');\nINSERT INTO o SELECT v FROM t;\n",
            job.topic,
            job.address,
            job.lake().display()
        );
        std::fs::write(job.folder.path().join("q.sql"), script).unwrap();
        job
    }

    fn lake(&self) -> PathBuf {
        self.folder.path().join("lake")
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        client(&self.address).create().unwrap()
    }

    /// Makes the topic, once no topic of its name is on its way out any more.
    fn make_topic(&self) {
        let admin = self.admin();
        let new = NewTopic::new(&self.topic, 1, TopicReplication::Fixed(1));
        loop {
            let made = block_on(admin.create_topics([&new], &AdminOptions::new())).unwrap();
            match &made[0] {
                Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                other => {
                    other.as_ref().unwrap();
                    return;
                }
            }
        }
    }

    fn delete_topic(&self) {
        let deleted =
            block_on(self.admin().delete_topics(&[&self.topic], &AdminOptions::new()));
        deleted.unwrap().remove(0).unwrap();
    }

    fn send(&self, values: std::ops::Range<i64>) {
        let producer: BaseProducer = client(&self.address).create().unwrap();
        for value in values {
            send(&producer, &self.topic, 0, value.to_string().as_bytes());
        }
        producer.flush(Duration::from_secs(30)).unwrap();
    }

    fn command(&self, on_data_loss: &str) -> Command {
        let mut command = turnstile();
        command
            .env("TURNSTILE_STATE_PATH", self.folder.path().join("state"))
            .env("TURNSTILE_ON_DATA_LOSS", on_data_loss)
            .arg("run")
            .arg(self.folder.path().join("q.sql"))
            .stderr(Stdio::piped());
        command
    }

    fn wait_for_rows(&self, count: i64, child: &mut Child) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while rows_in(&self.lake()) < count {
            assert!(child.try_wait().unwrap().is_none(), "it has ended");
            assert!(Instant::now() < deadline, "no {count} rows within 60 s");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(rows_in(&self.lake()), count);
    }

    fn run_until(&self, rows: i64, on_data_loss: &str) {
        let mut child = self.command(on_data_loss).spawn().unwrap();
        self.wait_for_rows(rows, &mut child);
        stop(&mut child);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }

    fn says_so(&self, said: &str) {
        let expected =
            format!("topic `{}` was deleted and made anew while it was read", self.topic);
        assert!(said.contains(&expected), "{said}");
        assert!(said.contains("on-data-loss"), "{said}");
    }
}

fn stop(child: &mut Child) {
    let status = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(status.success());
}

/// While the job is away: the new topic holds more than had been read of the old.
fn away(address: &str) {
    let job = Job::new(address);
    job.make_topic();
    job.send(0..5);
    job.run_until(5, "stop");
    job.delete_topic();
    job.make_topic();
    job.send(100..108);
    let output = job.command("stop").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    job.says_so(&text(&output));
    assert!(text(&output).contains("partition 0 up to offset 5"), "{}", text(&output));
    assert_eq!(rows_in(&job.lake()), 5);
    job.run_until(13, "earliest");
    // From then on the new one is what it has read.
    job.send(200..201);
    job.run_until(14, "stop");
}

/// While it runs.
fn running(address: &str) {
    let job = Job::new(address);
    job.make_topic();
    job.send(0..5);
    let mut child = job.command("stop").spawn().unwrap();
    job.wait_for_rows(5, &mut child);
    job.delete_topic();
    job.make_topic();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    let said = text(&output);
    assert!(
        ["was deleted and made anew while it was read", "is not in the log", "was cut off"]
            .iter()
            .any(|what| said.contains(what)),
        "{said}"
    );
    job.send(100..103);
    job.run_until(8, "earliest");
}

#[test]
fn a_topic_made_anew_is_noticed() {
    let broker = EmbeddedBroker::start().unwrap();
    away(&broker.address());
    running(&broker.address());
}

#[test]
fn a_topic_made_anew_is_noticed_on_a_real_kafka() {
    let Some(kafka) = Kafka::get() else { return };
    away(&kafka.address);
    running(&kafka.address);
}
