//! What a commit consists of, as it lies in the store.
//!
//! `ckpt/<epoch>` is a line with the format's version and a checksum, and then
//! JSON for people and programs alike.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::protocol;

/// Changes with every change that an older turnstile could not read.
const VERSION: u32 = 1;

/// Everything that a job needs to go on after an epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub job: String,
    /// Made once, with the job's first epoch; part of every file's name.
    pub job_id: String,
    pub epoch: u64,
    /// Unique to the process that wrote it.
    pub attempt: String,
    /// The process, for a person.
    pub writer: String,
    pub created_at_ms: i64,
    pub published_through: u64,
    /// What the job is, line by line.
    pub plan: Vec<String>,
    pub state: JobState,
    pub pieces: Vec<StoredPiece>,
    pub files: Vec<OutputFile>,
}

/// How far a job has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobState {
    /// Its input has ended, and every result is written.
    pub finished: bool,
    pub scans: Vec<ScanState>,
    /// By stage, the watermark up to which its windows have been closed.
    pub fired: Vec<i64>,
    pub counters: Counters,
    /// The engine's own.
    pub notes: serde_json::Value,
}

/// What has been counted since the job's first start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    pub rows_in: u64,
    pub rows_out: u64,
    pub late_rows: u64,
    pub undecodable: u64,
}

impl Counters {
    #[must_use]
    pub fn plus(&self, other: &Counters) -> Counters {
        Counters {
            rows_in: self.rows_in + other.rows_in,
            rows_out: self.rows_out + other.rows_out,
            late_rows: self.late_rows + other.late_rows,
            undecodable: self.undecodable + other.undecodable,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanState {
    pub table: String,
    pub watermark: i64,
    pub splits: Vec<SplitState>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitState {
    pub topic: String,
    pub partition: i32,
    /// The first offset that has not been read.
    pub next: i64,
    /// Where a bounded split ends.
    pub stop: Option<i64>,
    /// Of the topic that was read; `None` where brokers know none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_id: Option<String>,
    /// Of its own rows.
    pub watermark: i64,
}

/// The name of a piece of state: unique in the job's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PieceId {
    pub epoch: u64,
    /// The thread that made it.
    pub maker: u32,
    pub number: u32,
}

/// Where the bytes of a piece lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredPiece {
    pub id: PieceId,
    /// What it is a piece of, in the engine's words.
    pub of: serde_json::Value,
    pub segment: String,
    pub from: u64,
    pub bytes: u64,
    pub rows: u64,
    pub sha256: String,
}

/// A file that the epoch makes visible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputFile {
    pub table: String,
    /// Below the state's folder.
    pub staged: String,
    /// The table's folder, and the file's name in it.
    pub folder: String,
    pub name: String,
    pub rows: u64,
    pub bytes: u64,
}

impl protocol::Manifest for Manifest {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn published_through(&self) -> u64 {
        self.published_through
    }

    fn files(&self) -> usize {
        self.files.len()
    }

    fn is_same_write(&self, other: &Self) -> bool {
        // A process writes an epoch once.
        self.attempt == other.attempt && self.epoch == other.epoch
    }
}

impl Manifest {
    pub fn to_bytes(&self) -> Vec<u8> {
        enclose(&serde_json::to_vec(self).expect("a manifest is plain data"))
    }

    /// # Errors
    /// What is wrong with the bytes, for a person.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let cut = bytes.iter().position(|b| *b == b'\n').ok_or("it is no checkpoint")?;
        let (head, json) = (&bytes[..cut], &bytes[cut + 1..]);
        let head = std::str::from_utf8(head).map_err(|_| "it is no checkpoint")?;
        let mut words = head.split(' ');
        if words.next() != Some("turnstile") {
            return Err("it is no checkpoint".to_owned());
        }
        let version = words.next().unwrap_or_default();
        if version != VERSION.to_string() {
            return Err(format!(
                "its format is version {version}, this turnstile reads version {VERSION}"
            ));
        }
        if words.next() != Some(checksum(json).as_str()) {
            return Err("its checksum is wrong".to_owned());
        }
        serde_json::from_slice(json).map_err(|e| e.to_string())
    }

    pub fn file_name(epoch: u64) -> String {
        format!("{}/{epoch:020}", super::MANIFESTS)
    }
}

/// `json` behind the line that says what it is.
pub fn enclose(json: &[u8]) -> Vec<u8> {
    let mut bytes = format!("turnstile {VERSION} {}\n", checksum(json)).into_bytes();
    bytes.extend(json);
    bytes
}

/// SHA-256 in hexadecimal.
pub fn checksum(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            job: "j".to_owned(),
            job_id: "1f".to_owned(),
            epoch: 7,
            attempt: "a".to_owned(),
            writer: "host, process 1".to_owned(),
            created_at_ms: 0,
            published_through: 6,
            plan: vec!["scan".to_owned()],
            state: JobState { fired: vec![i64::MIN, i64::MAX], ..JobState::default() },
            pieces: Vec::new(),
            files: Vec::new(),
        }
    }

    #[test]
    fn bytes_that_are_not_whole_are_refused() {
        let bytes = manifest().to_bytes();
        assert_eq!(Manifest::from_bytes(&bytes), Ok(manifest()));
        for cut in 0..bytes.len() {
            assert!(Manifest::from_bytes(&bytes[..cut]).is_err());
        }
        let mut newer = bytes.clone();
        newer["turnstile ".len()] = b'9';
        let said = Manifest::from_bytes(&newer).expect_err("refused");
        assert!(said.contains("version 9"), "{said}");
        for at in [40, bytes.len() - 2] {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert!(Manifest::from_bytes(&wrong).is_err());
        }
    }
}
