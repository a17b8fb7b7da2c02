//! Where files go: a local folder or a bucket, behind one way to put a whole
//! file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use tokio::runtime::Runtime;

use super::super::SinkError;

/// A `path` option, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    Local(PathBuf),
    S3 { bucket: String, prefix: String },
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Local(path) => write!(f, "{}", path.display()),
            Location::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

impl Location {
    /// `file:///x`, `/x`, `x`, `s3://bucket/prefix`, `s3a://bucket/prefix`.
    pub fn parse(path: &str) -> Result<Location, String> {
        for scheme in ["s3://", "s3a://"] {
            if let Some(rest) = path.strip_prefix(scheme) {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() {
                    return Err("it names no bucket".to_owned());
                }
                let prefix = prefix.trim_matches('/').to_owned();
                return Ok(Location::S3 { bucket: bucket.to_owned(), prefix });
            }
        }
        let local =
            path.strip_prefix("file://").or_else(|| path.strip_prefix("file:")).unwrap_or(path);
        if local.contains("://") {
            return Err("its scheme is not supported; use file:// or s3://".to_owned());
        }
        if local.is_empty() {
            return Err("it is empty".to_owned());
        }
        Ok(Location::Local(PathBuf::from(local)))
    }

    /// Connects, and fails now if nothing can be written there.
    pub fn open(&self, table: &str) -> Result<Store, SinkError> {
        let config = |reason: String| SinkError::Config { table: table.to_owned(), reason };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("store")
            .enable_all()
            .build()
            .map_err(|e| config(e.to_string()))?;
        let failed = |source| SinkError::Store { path: self.to_string(), source };
        let (store, local): (Arc<dyn ObjectStore>, _) = match self {
            Location::Local(path) => {
                let io = |source| SinkError::Io { path: path.display().to_string(), source };
                std::fs::create_dir_all(path).map_err(io)?;
                let root = path.canonicalize().map_err(io)?;
                if root.metadata().map_err(io)?.permissions().readonly() {
                    return Err(config(format!("{} is read-only", root.display())));
                }
                (Arc::new(LocalFileSystem::new_with_prefix(&root).map_err(failed)?), Some(root))
            }
            Location::S3 { bucket, .. } => {
                let http = std::env::var("AWS_ENDPOINT_URL")
                    .or_else(|_| std::env::var("AWS_ENDPOINT"))
                    .is_ok_and(|endpoint| endpoint.starts_with("http://"));
                let store = AmazonS3Builder::from_env()
                    .with_bucket_name(bucket)
                    .with_allow_http(http)
                    .build()
                    .map_err(failed)?;
                (Arc::new(store), None)
            }
        };
        let prefix = match self {
            Location::Local(_) => String::new(),
            Location::S3 { prefix, .. } => prefix.clone(),
        };
        let store = Store { location: self.clone(), store, prefix, local, runtime };
        store.probe()?;
        Ok(store)
    }
}

/// An open location.
pub struct Store {
    location: Location,
    store: Arc<dyn ObjectStore>,
    prefix: String,
    /// The folder, where the store is local.
    local: Option<PathBuf>,
    runtime: Runtime,
}

impl Store {
    /// A bucket that is not there, or not ours, should cost no reading.
    fn probe(&self) -> Result<(), SinkError> {
        if self.local.is_some() {
            return Ok(());
        }
        let prefix = ObjectPath::from(self.prefix.as_str());
        let listed = self.runtime.block_on(self.store.list_with_delimiter(Some(&prefix)));
        let failed = |source| SinkError::Store { path: self.location.to_string(), source };
        listed.map(|_| ()).map_err(failed)
    }

    /// The name by which a person finds `file`.
    pub fn name_of(&self, file: &str) -> String {
        format!("{}/{file}", self.location.to_string().trim_end_matches('/'))
    }

    /// Puts whole files, all at once, and returns when all are there for good.
    /// `file` is relative, its folders encoded already.
    pub fn put_all(&self, files: Vec<(String, Bytes)>) -> Result<(), SinkError> {
        self.runtime.block_on(async {
            let puts = files.into_iter().map(|(file, bytes)| self.put(file, bytes));
            futures::future::try_join_all(puts).await.map(|_| ())
        })
    }

    async fn put(&self, file: String, bytes: Bytes) -> Result<(), SinkError> {
        let failed = |source| SinkError::Store { path: self.name_of(&file), source };
        let full = if self.prefix.is_empty() {
            file.clone()
        } else {
            format!("{}/{file}", self.prefix)
        };
        let path = ObjectPath::parse(&full).map_err(|e| failed(e.into()))?;
        self.store.put(&path, PutPayload::from_bytes(bytes)).await.map_err(failed)?;
        match &self.local {
            Some(root) => {
                let on_disk = root.join(path.as_ref());
                sync(&on_disk)
                    .map_err(|source| SinkError::Io { path: self.name_of(&file), source })
            }
            None => Ok(()),
        }
    }
}

/// Makes a file and its name survive a power cut.
fn sync(file: &Path) -> std::io::Result<()> {
    std::fs::File::open(file)?.sync_all()?;
    match file.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_understood_as_flink_writes_them() {
        let local = |p: &str| Ok(Location::Local(p.into()));
        assert_eq!(Location::parse("file:///lake/x"), local("/lake/x"));
        assert_eq!(Location::parse("out/res"), local("out/res"));
        let s3 = Location::S3 { bucket: "b".into(), prefix: "p/q".into() };
        assert_eq!(Location::parse("s3a://b/p/q/"), Ok(s3));
        assert!(Location::parse("hdfs://n/x").is_err());
    }
}
