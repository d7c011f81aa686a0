//! The command line and its variables, as text: `config.rs` checks them.

use clap::Parser;

use crate::version;

/// Tideline stores JSON documents in DynamoDB and serves them over HTTP.
///
/// With no settings at all it keeps them in a file under ./data and listens on this machine only. Every flag can be
/// given as the variable named beside it; the flag wins.
#[derive(Debug, Clone, Parser)]
#[command(name = "tideline", version = version::VERSION, long_version = version::long(), max_term_width = 110)]
pub struct Args {
    /// Address and port of the public listener.
    #[arg(long, env = "TIDELINE_LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub listen: String,

    /// Address and port of the admin listener (/metrics, /live). Keep it off the network.
    #[arg(long, env = "TIDELINE_ADMIN_LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9100")]
    pub admin_listen: String,

    /// Folder of the embedded store, made on first use. Unused where a table is named.
    #[arg(long, env = "TIDELINE_DATA_DIR", value_name = "FOLDER", default_value = "./data")]
    pub data_dir: String,

    /// DynamoDB table to use in place of the embedded store. The AWS_… variables apply: region, credentials, and
    /// AWS_ENDPOINT_URL for a DynamoDB elsewhere. [default: none]
    #[arg(long, env = "TIDELINE_TABLE", value_name = "NAME")]
    pub table: Option<String>,

    /// Create the table where it does not exist (on-demand capacity). Needs --table.
    #[arg(long, env = "TIDELINE_CREATE_TABLE", value_name = "BOOL", default_value = "false",
          num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub create_table: String,

    /// How long one try of a call to the table may take. A number with ms, s or m.
    #[arg(long, env = "TIDELINE_STORE_ATTEMPT_TIMEOUT", value_name = "TIME", default_value = "500ms")]
    pub store_attempt_timeout: String,

    /// How long a call to the table may take, its second try included. A number with ms, s or m.
    #[arg(long, env = "TIDELINE_STORE_TIMEOUT", value_name = "TIME", default_value = "2s")]
    pub store_timeout: String,

    /// How often the instance tells the table how it is, for /fleet; 0s: never. Three times this without a word, and the
    /// instance is taken for gone. A number with ms, s or m.
    #[arg(long, env = "TIDELINE_HEARTBEAT", value_name = "TIME", default_value = "5s")]
    pub heartbeat: String,

    /// How old an answer of /product may be; 0s turns the cache off. A number with ms, s or m.
    #[arg(long, env = "TIDELINE_CACHE_MAX_AGE", value_name = "TIME", default_value = "2s")]
    pub cache_max_age: String,

    /// What the cache may take, in MiB.
    #[arg(long, env = "TIDELINE_CACHE_SIZE", value_name = "MIB", default_value = "64")]
    pub cache_size: String,

    /// Redis or Valkey that instances share as a cache: `redis://[user:password@]host[:port][/database]`, or `rediss://`
    /// for TLS. One that fails is passed by. [default: none]
    #[arg(long, env = "TIDELINE_CACHE_URL", value_name = "URL", hide_env_values = true)]
    pub cache_url: Option<String>,

    /// PEM file of the authorities that vouch for a rediss:// server. [default: the platform's]
    #[arg(long, env = "TIDELINE_CACHE_CA", value_name = "FILE")]
    pub cache_ca: Option<String>,

    /// ElastiCache replication group to sign in to with the AWS credentials of the process, as the user in --cache-url and
    /// in place of a password. Needs rediss://. [default: none]
    #[arg(long, env = "TIDELINE_CACHE_IAM", value_name = "NAME")]
    pub cache_iam: Option<String>,

    /// How long the shared cache keeps a document. A number with ms, s or m.
    #[arg(long, env = "TIDELINE_CACHE_TTL", value_name = "TIME", default_value = "60m")]
    pub cache_ttl: String,

    /// How long the shared cache may take to connect, and to answer. A number with ms, s or m.
    #[arg(long, env = "TIDELINE_CACHE_TIMEOUT", value_name = "TIME", default_value = "50ms")]
    pub cache_timeout: String,

    /// The largest request body, in bytes.
    #[arg(long, env = "TIDELINE_MAX_BODY", value_name = "BYTES", default_value = "1048576")]
    pub max_body: String,

    /// The largest request head, in bytes.
    #[arg(long, env = "TIDELINE_MAX_HEAD", value_name = "BYTES", default_value = "16384")]
    pub max_head: String,

    /// Header lines in a request, at the most.
    #[arg(long, env = "TIDELINE_MAX_HEADERS", value_name = "COUNT", default_value = "100")]
    pub max_headers: String,

    /// The longest request URI, in bytes.
    #[arg(long, env = "TIDELINE_MAX_URI", value_name = "BYTES", default_value = "8000")]
    pub max_uri: String,

    /// From a request's first byte to the end of its head. A number with ms, s or m.
    #[arg(long, env = "TIDELINE_HEAD_TIMEOUT", value_name = "TIME", default_value = "10s")]
    pub head_timeout: String,

    /// How long a request's body may take to arrive. A number with ms, s or m.
    #[arg(long, env = "TIDELINE_BODY_TIMEOUT", value_name = "TIME", default_value = "10s")]
    pub body_timeout: String,

    /// For how long a client may take nothing of its answer before it is cut off. A number with ms, s or m.
    #[arg(long, env = "TIDELINE_WRITE_TIMEOUT", value_name = "TIME", default_value = "10s")]
    pub write_timeout: String,

    /// Connections open at once on the public listener; more wait in the kernel's queue.
    #[arg(long, env = "TIDELINE_MAX_CONNECTIONS", value_name = "COUNT", default_value = "10000")]
    pub max_connections: String,

    /// Requests in flight at once; more are answered 503 at once. /status, /health, /fleet and the admin listener are
    /// exempt.
    #[arg(long, env = "TIDELINE_MAX_IN_FLIGHT", value_name = "COUNT", default_value = "512")]
    pub max_in_flight: String,

    /// How long a request may take, beside the time for its body to arrive. A number with ms, s or m.
    #[arg(long, env = "TIDELINE_REQUEST_TIMEOUT", value_name = "TIME", default_value = "5s")]
    pub request_timeout: String,

    /// SHA-256 (hex) of the token that POST, PUT and DELETE then need as `Authorization: Bearer TOKEN`; several,
    /// separated by commas, let a token be changed without an outage. [default: none, everybody may write]
    #[arg(long, env = "TIDELINE_WRITE_TOKEN_SHA256", value_name = "HASHES", hide_env_values = true)]
    pub write_token_sha256: Option<String>,

    /// After SIGTERM: how long to go on serving, with /health at 503, so that a balancer looks away first. A number
    /// with ms, s or m.
    #[arg(long, env = "TIDELINE_DRAIN_DELAY", value_name = "TIME", default_value = "0s")]
    pub drain_delay: String,

    /// Then: how long requests in flight may take to end. A number with ms, s or m.
    #[arg(long, env = "TIDELINE_DRAIN_TIMEOUT", value_name = "TIME", default_value = "25s")]
    pub drain_timeout: String,

    /// Folder for the log, JSON lines in tideline.log; at 64 MiB it becomes tideline.log.1, and so on to .4.
    /// [default: none, the log goes to standard error]
    #[arg(long, env = "TIDELINE_LOG_DIR", value_name = "FOLDER")]
    pub log_dir: Option<String>,

    /// How the log on standard error looks: text, json, or auto (text on a terminal, json elsewhere).
    #[arg(long, env = "TIDELINE_LOG_FORMAT", value_name = "FORMAT", default_value = "auto")]
    pub log_format: String,

    /// What is logged: a level (error, warn, info, debug, trace), or directives such as
    /// info,tideline_server::store=debug. Requests are logged at info.
    #[arg(long, env = "TIDELINE_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
}
