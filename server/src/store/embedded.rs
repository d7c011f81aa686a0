//! The DynamoDB inside the process: dynoxide on one SQLite file, reached by the SDK without a network.
//!
//! The SDK's HTTP connector is replaced by one that hands a request's body to the engine. Reads run where they are
//! asked for, each on a connection of its own. Writes go through one thread that commits them in groups: it syncs the
//! write-ahead log once for a batch and only then acknowledges it, so an acknowledged write survives a crash of the
//! process and of the machine.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{
    BehaviorVersion, Config, Region, StalledStreamProtectionConfig, retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use dynoxide::storage::Storage;
use dynoxide::{Database, DynoxideError, actions};
use tokio::sync::{mpsc, oneshot};

use super::ConnectError;

/// The table in the file.
const TABLE: &str = "tideline";

/// The file in the folder.
const FILE: &str = "tideline.db";

/// Writes that wait for the writer; more wait to be queued.
const QUEUE: usize = 1024;

/// Writes that share one sync.
const BATCH: usize = 256;

/// How often expired items are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Opens, or creates, the store in a folder: the client that reaches it and the name of its table.
pub(super) fn open(folder: &Path) -> Result<(Client, String), ConnectError> {
    let fault = |reason: String| ConnectError::Open { folder: folder.display().to_string(), reason };
    std::fs::create_dir_all(folder).map_err(|error| fault(error.to_string()))?;
    let file = folder.join(FILE);
    let path = file.to_str().ok_or_else(|| fault("its path is not UTF-8".to_owned()))?;
    let engine = Engine::start(path).map_err(|error| fault(error.to_string()))?;
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("local"))
        .endpoint_url("http://embedded.invalid")
        .http_client(InProcess(Arc::new(engine)))
        // Nothing here is signed, lost on the way or stuck in a socket, and each of these costs every call.
        .allow_no_auth()
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    Ok((Client::from_conf(config), TABLE.to_owned()))
}

/// Status and body of the engine's answer.
type Answer = (u16, String);

struct Write {
    operation: Operation,
    body: Bytes,
    answer: oneshot::Sender<Answer>,
}

/// The operations the service uses.
#[derive(Clone, Copy)]
enum Operation {
    GetItem,
    Query,
    PutItem,
    UpdateItem,
    DeleteItem,
    TransactWriteItems,
    DescribeTable,
    CreateTable,
    UpdateTimeToLive,
}

impl Operation {
    /// From the `x-amz-target` header, `DynamoDB_20120810.GetItem`.
    fn of(request: &HttpRequest) -> Option<Self> {
        Some(match request.headers().get("x-amz-target")?.split_once('.')?.1 {
            "GetItem" => Self::GetItem,
            "Query" => Self::Query,
            "PutItem" => Self::PutItem,
            "UpdateItem" => Self::UpdateItem,
            "DeleteItem" => Self::DeleteItem,
            "TransactWriteItems" => Self::TransactWriteItems,
            "DescribeTable" => Self::DescribeTable,
            "CreateTable" => Self::CreateTable,
            "UpdateTimeToLive" => Self::UpdateTimeToLive,
            _ => return None,
        })
    }

    fn is_read(self) -> bool {
        matches!(self, Self::GetItem | Self::Query)
    }
}

struct Engine {
    path: String,
    /// Connections for reading that nobody uses now: at most as many as there were readers at once.
    readers: Mutex<Vec<Storage>>,
    writer: mpsc::Sender<Write>,
    /// The sweeper's thread ends when this is dropped.
    _sweeper: std_mpsc::SyncSender<()>,
}

impl Engine {
    fn start(path: &str) -> Result<Self, DynoxideError> {
        let tables = Database::new(path)?;
        let storage = Storage::new(path)?;
        // The writer syncs the log itself, once a batch; SQLite still syncs around checkpoints.
        pragma(&storage, "PRAGMA synchronous = NORMAL")?;
        let (writer, writes) = mpsc::channel(QUEUE);
        let sweeping = tables.clone();
        let log = format!("{path}-wal");
        spawn("embedded-writer", move || write_in_groups(&storage, &tables, &log, writes))?;
        let (sweeper, engine) = std_mpsc::sync_channel(0);
        spawn("embedded-sweeper", move || sweep(&sweeping, &engine))?;
        Ok(Self { path: path.to_owned(), readers: Mutex::default(), writer, _sweeper: sweeper })
    }

    fn read(&self, operation: Operation, body: &[u8]) -> Answer {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let storage = match idle.map_or_else(|| self.open_reader(), Ok) {
            Ok(storage) => storage,
            Err(error) => return answer(Err::<(), _>(error)),
        };
        let answer = run(&storage, operation, body);
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(storage);
        answer
    }

    fn open_reader(&self) -> Result<Storage, DynoxideError> {
        let storage = Storage::new(&self.path)?;
        pragma(&storage, "PRAGMA mmap_size = 268435456")?;
        Ok(storage)
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), DynoxideError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    thread.map(drop).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

fn pragma(storage: &Storage, text: &str) -> Result<(), DynoxideError> {
    Ok(storage.conn().execute_batch(text)?)
}

/// The writer's thread; it ends when the engine is dropped.
fn write_in_groups(storage: &Storage, tables: &Database, log: &str, mut writes: mpsc::Receiver<Write>) {
    let mut log = Log { path: log.to_owned(), file: None, failed: None };
    let mut batch = Vec::with_capacity(BATCH);
    while writes.blocking_recv_many(&mut batch, BATCH) > 0 {
        let answers: Vec<_> = batch
            .drain(..)
            .map(|write| {
                let answer = match write.operation {
                    Operation::CreateTable | Operation::DescribeTable | Operation::UpdateTimeToLive => {
                        run_on_tables(tables, write.operation, &write.body)
                    }
                    operation => run(storage, operation, &write.body),
                };
                (write.answer, answer)
            })
            .collect();
        let synced = log.sync();
        for (sender, result) in answers {
            // Who asked may have gone: its request ended first.
            let _ = sender.send(match &synced {
                Ok(()) => result,
                Err(error) => answer(Err::<(), _>(DynoxideError::InternalServerError(error.clone()))),
            });
        }
    }
}

/// The write-ahead log, to be synced.
struct Log {
    path: String,
    file: Option<File>,
    /// The first failure. The kernel may drop what it could not write and then report success, so after one nothing is
    /// acknowledged any more until the process starts anew and SQLite recovers the file.
    failed: Option<String>,
}

impl Log {
    fn sync(&mut self) -> Result<(), String> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.try_sync().map_err(|error| {
            tracing::error!(%error, log = self.path, "the embedded store cannot be synced: no write is acknowledged");
            self.failed.insert(error.to_string()).clone()
        })
    }

    fn try_sync(&mut self) -> std::io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => File::options().read(true).write(true).open(&self.path)?,
        };
        file.sync_data()?;
        self.file = Some(file);
        Ok(())
    }
}

/// Removes expired items now and then, as DynamoDB does; ends with the engine.
fn sweep(tables: &Database, engine: &std_mpsc::Receiver<()>) {
    while engine.recv_timeout(SWEEP_INTERVAL) == Err(std_mpsc::RecvTimeoutError::Timeout) {
        match tables.sweep_ttl() {
            Ok(removed) => tracing::debug!(removed, "expired items removed from the embedded store"),
            Err(error) => tracing::warn!(%error, "expired items could not be removed from the embedded store"),
        }
    }
}

fn run(storage: &Storage, operation: Operation, body: &[u8]) -> Answer {
    macro_rules! act {
        ($action:ident) => {
            answer(read(body).and_then(|request| pollster::block_on(actions::$action::execute(storage, request))))
        };
    }
    match operation {
        Operation::GetItem => act!(get_item),
        Operation::Query => act!(query),
        Operation::PutItem => act!(put_item),
        Operation::UpdateItem => act!(update_item),
        Operation::DeleteItem => act!(delete_item),
        Operation::TransactWriteItems => act!(transact_write_items),
        _ => answer(Err::<(), _>(DynoxideError::InternalServerError("not an operation on items".to_owned()))),
    }
}

fn run_on_tables(tables: &Database, operation: Operation, body: &[u8]) -> Answer {
    match operation {
        Operation::DescribeTable => answer(read(body).and_then(|request| tables.describe_table(request))),
        Operation::CreateTable => answer(read(body).and_then(|request| tables.create_table(request))),
        Operation::UpdateTimeToLive => answer(read(body).and_then(|request| tables.update_time_to_live(request))),
        _ => answer(Err::<(), _>(DynoxideError::InternalServerError("not an operation on tables".to_owned()))),
    }
}

fn read<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, DynoxideError> {
    serde_json::from_slice(body).map_err(|error| DynoxideError::ValidationException(error.to_string()))
}

fn answer<T: serde::Serialize>(result: Result<T, DynoxideError>) -> Answer {
    let written = result.and_then(|output| {
        serde_json::to_string(&output).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
    });
    match written {
        Ok(text) => (200, text),
        Err(error) => (error.status_code(), error.to_json()),
    }
}

/// The SDK's way to the engine.
#[derive(Clone)]
struct InProcess(Arc<Engine>);

impl std::fmt::Debug for InProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("InProcess").field(&self.0.path).finish()
    }
}

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (Some(operation), Some(body)) = (Operation::of(&request), request.body().bytes()) else {
            let reason = "the embedded store does not know this operation";
            return HttpConnectorFuture::ready(Err(ConnectorError::user(reason.into())));
        };
        if operation.is_read() {
            return HttpConnectorFuture::ready(response(self.0.read(operation, body)));
        }
        let (sender, answer) = oneshot::channel();
        let write = Write { operation, body: Bytes::copy_from_slice(body), answer: sender };
        let writer = self.0.writer.clone();
        HttpConnectorFuture::new(async move {
            let gone = || ConnectorError::other("the embedded store's writer has stopped".into(), None);
            writer.send(write).await.map_err(|_| gone())?;
            response(answer.await.map_err(|_| gone())?)
        })
    }
}

fn response((status, body): Answer) -> Result<HttpResponse, ConnectorError> {
    let status = status.try_into().map_err(|error| ConnectorError::other(Box::new(error), None))?;
    Ok(HttpResponse::new(status, SdkBody::from(body)))
}
