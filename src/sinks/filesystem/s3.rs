//! Places files in an S3 bucket.
//!
//! Endpoint, region and credentials come from the `AWS_*` variables, as for
//! other S3 tools. A small file is one PUT, a larger one a multipart upload:
//! S3 shows an object only when it is whole. Names are ours alone (they carry
//! the run), so a request that is sent again writes the same bytes again.
//!
//! A private runtime does the requests; nothing here may be called from async
//! code.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, FuturesUnordered, StreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, RetryConfig};
use tokio::runtime::{Builder, Runtime};

use super::destination::{Destination, WholeFile};
use crate::sinks::SinkError;

const MAX_CONCURRENT_FILES: usize = 4;
const MAX_CONCURRENT_PARTS: usize = 4;
/// Also the largest file that goes up in one request. 10,000 parts are allowed.
const PART_BYTES: u64 = 16 << 20;
const MAX_RETRIES: usize = 10;
const MAX_RETRY_TIME: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct S3Folder {
    store: Arc<dyn ObjectStore>,
    bucket: String,
    prefix: String,
    runtime: Runtime,
}

impl S3Folder {
    /// Fails when the bucket is missing or refuses writes. `variables` is the
    /// environment; only `AWS_*` matters.
    pub fn open(
        bucket: &str,
        prefix: &str,
        variables: &[(String, String)],
    ) -> Result<Self, SinkError> {
        let shown = || format!("s3://{bucket}/{prefix}");
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("s3-upload")
            .enable_all()
            .build()
            .map_err(|source| SinkError::Io { path: shown(), source })?;
        let store = client(bucket, variables)
            .map_err(|source| SinkError::Store { path: shown(), source })?;
        let (bucket, prefix) = (bucket.to_owned(), prefix.to_owned());
        let folder = Self { store: Arc::new(store), bucket, prefix, runtime };
        folder.check_writable()?;
        Ok(folder)
    }

    /// Begins an upload and takes it back: the one way to learn whether writing
    /// is allowed that leaves nothing and needs no right to read.
    fn check_writable(&self) -> Result<(), SinkError> {
        let begin_and_abort = async {
            let mut upload = self.store.put_multipart(&self.key("write-check")?).await?;
            upload.abort().await
        };
        self.runtime
            .block_on(begin_and_abort)
            .map_err(|source| SinkError::Store { path: self.locate(""), source })
    }

    fn key(&self, name: &str) -> Result<Path, object_store::path::Error> {
        if self.prefix.is_empty() {
            return Path::parse(name);
        }
        Path::parse(format!("{}/{name}", self.prefix))
    }

    async fn place_one(&self, file: WholeFile) -> Result<(), SinkError> {
        let path = self.locate(&file.name);
        self.upload(file).await.map_err(|error| match error {
            UploadError::Spool(source) => SinkError::Io { path, source },
            UploadError::Store(source) => SinkError::Store { path, source },
        })
    }

    async fn upload(&self, file: WholeFile) -> Result<(), UploadError> {
        let key = self.key(&file.name).map_err(object_store::Error::from)?;
        let is_small = file.bytes.len() <= PART_BYTES;
        let mut bytes = file.bytes.into_reader()?;
        if is_small {
            self.store.put(&key, read_part(&mut bytes)?.into()).await?;
            return Ok(());
        }
        let mut upload = self.store.put_multipart(&key).await?;
        let sent = send_parts(upload.as_mut(), &mut bytes).await;
        if sent.is_err() {
            // The error to tell is the first; parts left behind are invisible.
            let _ = upload.abort().await;
        }
        sent
    }
}

impl Destination for S3Folder {
    /// Every upload runs to its own end, so that a failed one is aborted.
    fn place(&self, files: Vec<WholeFile>) -> Result<(), SinkError> {
        let uploads = stream::iter(files)
            .map(|file| self.place_one(file))
            .buffer_unordered(MAX_CONCURRENT_FILES)
            .collect::<Vec<_>>();
        self.runtime.block_on(uploads).into_iter().collect()
    }

    fn locate(&self, name: &str) -> String {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("s3://{}/{}{slash}{name}", self.bucket, self.prefix)
    }
}

#[derive(Debug, thiserror::Error)]
enum UploadError {
    #[error(transparent)]
    Spool(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] object_store::Error),
}

async fn send_parts(
    upload: &mut dyn MultipartUpload,
    bytes: &mut (dyn Read + Send),
) -> Result<(), UploadError> {
    let mut in_flight = FuturesUnordered::new();
    loop {
        let part = read_part(bytes)?;
        if part.is_empty() {
            break;
        }
        in_flight.push(upload.put_part(part.into()));
        if in_flight.len() == MAX_CONCURRENT_PARTS {
            in_flight.next().await.expect("parts are in flight")?;
        }
    }
    while let Some(sent) = in_flight.next().await {
        sent?;
    }
    upload.complete().await?;
    Ok(())
}

fn read_part(bytes: &mut (dyn Read + Send)) -> io::Result<Vec<u8>> {
    let mut part = Vec::new();
    bytes.take(PART_BYTES).read_to_end(&mut part)?;
    Ok(part)
}

fn client(
    bucket: &str,
    variables: &[(String, String)],
) -> object_store::Result<object_store::aws::AmazonS3> {
    let retry = RetryConfig {
        max_retries: MAX_RETRIES,
        retry_timeout: MAX_RETRY_TIME,
        ..RetryConfig::default()
    };
    let mut builder = AmazonS3Builder::new().with_retry(retry);
    for (name, value) in variables {
        if !name.starts_with("AWS_") || value.is_empty() {
            continue;
        }
        if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value);
        }
        if name.starts_with("AWS_ENDPOINT") && value.starts_with("http://") {
            builder = builder.with_allow_http(true);
        }
    }
    builder.with_bucket_name(bucket).build()
}
