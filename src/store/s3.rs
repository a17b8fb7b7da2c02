//! Files in an S3 bucket.
//!
//! Endpoint, region and credentials come from the `AWS_*` variables, as for
//! other S3 tools. A small file is one PUT, a larger one a multipart upload:
//! S3 shows an object only when it is whole.
//!
//! A private runtime does the requests.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, FuturesUnordered, StreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{Error, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, RetryConfig};
use tokio::runtime::{Builder, Runtime};

use super::{StoreError, StoreFault, WholeFile};

const MAX_CONCURRENT_FILES: usize = 4;
const MAX_CONCURRENT_PARTS: usize = 4;
/// Also the largest file that goes up in one request. 10,000 parts are allowed.
const PART_BYTES: u64 = 16 << 20;
const MAX_RETRIES: usize = 10;
/// Of one request. Those who ask for something again wait between two.
const MAX_RETRY_TIME: Duration = Duration::from_secs(20);

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
    ) -> Result<Self, StoreError> {
        let shown = || format!("s3://{bucket}/{prefix}");
        let failed = |cause| StoreError { path: shown(), cause };
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("s3-upload")
            .enable_all()
            .build()
            .map_err(|cause| failed(StoreFault::Io(cause)))?;
        let store =
            client(bucket, variables).map_err(|cause| failed(StoreFault::Object(cause)))?;
        let (bucket, prefix) = (bucket.to_owned(), prefix.to_owned());
        let folder = Self { store: Arc::new(store), bucket, prefix, runtime };
        folder.check_writable()?;
        Ok(folder)
    }

    /// Begins an upload and takes it back: the one way to learn whether writing
    /// is allowed that leaves nothing and needs no right to read.
    fn check_writable(&self) -> Result<(), StoreError> {
        self.request("", async {
            let mut upload = self.store.put_multipart(&self.key("write-check")?).await?;
            // Asked again because an answer was lost, it is not there any more.
            there(upload.abort().await).map(|_| ())
        })
    }

    /// Waits for a request about `name`.
    fn request<T>(
        &self,
        name: &str,
        request: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, StoreError> {
        let cause = |cause| self.error(name, StoreFault::Object(cause));
        self.runtime.block_on(request).map_err(cause)
    }

    fn error(&self, name: &str, cause: StoreFault) -> StoreError {
        StoreError { path: self.locate(name), cause }
    }

    fn key(&self, name: &str) -> Result<Path, object_store::path::Error> {
        if self.prefix.is_empty() {
            return Path::parse(name);
        }
        Path::parse(format!("{}/{name}", self.prefix))
    }

    /// Every upload runs to its own end, so that a failed one is aborted.
    pub fn put(&self, files: Vec<WholeFile>) -> Result<(), StoreError> {
        let uploads = stream::iter(files)
            .map(|file| self.put_one(file))
            .buffer_unordered(MAX_CONCURRENT_FILES)
            .collect::<Vec<_>>();
        self.runtime.block_on(uploads).into_iter().collect()
    }

    pub fn create(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.request(name, async {
            let bytes = bytes.to_vec().into();
            let key = self.key(name)?;
            self.store.put_opts(&key, bytes, PutMode::Create.into()).await.map(|_| ())
        })
    }

    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.request(name, async {
            let Some(object) = there(self.store.get(&self.key(name)?).await)? else {
                return Ok(None);
            };
            Ok(Some(object.bytes().await?.to_vec()))
        })
    }

    pub fn read_range(
        &self,
        name: &str,
        from: u64,
        len: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.request(name, async {
            let range = from..from.saturating_add(len);
            let bytes = there(self.store.get_range(&self.key(name)?, range).await)?;
            Ok(bytes.map(|bytes| bytes.to_vec()))
        })
    }

    pub fn size(&self, name: &str) -> Result<Option<u64>, StoreError> {
        self.request(name, async {
            Ok(there(self.store.head(&self.key(name)?).await)?.map(|object| object.size))
        })
    }

    pub fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        self.request(folder, async {
            let found = self.store.list_with_delimiter(Some(&self.key(folder)?)).await?;
            let name = |path: &Path| path.filename().map(str::to_owned);
            Ok(found.objects.iter().filter_map(|object| name(&object.location)).collect())
        })
    }

    pub fn folders(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        self.request(folder, async {
            let found = self.store.list_with_delimiter(Some(&self.key(folder)?)).await?;
            let name = |path: &Path| path.filename().map(str::to_owned);
            Ok(found.common_prefixes.iter().filter_map(name).collect())
        })
    }

    pub fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.request(name, async {
            there(self.store.delete(&self.key(name)?).await).map(|_| ())
        })
    }

    /// Whether files can be copied from `other` without a way over here.
    pub fn reaches(&self, other: &S3Folder) -> bool {
        self.bucket == other.bucket
    }

    pub fn copy(&self, other: &S3Folder, from: &str, name: &str) -> Result<(), StoreError> {
        self.request(name, async { self.store.copy(&other.key(from)?, &self.key(name)?).await })
    }

    pub fn locate(&self, name: &str) -> String {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("s3://{}/{}{slash}{name}", self.bucket, self.prefix)
    }

    async fn put_one(&self, file: WholeFile) -> Result<(), StoreError> {
        let name = file.name.clone();
        self.upload(file).await.map_err(|error| match error {
            UploadError::Spool(cause) => self.error(&name, StoreFault::Io(cause)),
            UploadError::Store(cause) => self.error(&name, StoreFault::Object(cause)),
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

/// `None` for what is not there.
fn there<T>(result: object_store::Result<T>) -> object_store::Result<Option<T>> {
    match result {
        Ok(there) => Ok(Some(there)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
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
