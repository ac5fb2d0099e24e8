//! The SDK clients of one scope, with the two ways to ask: reads are retried and paged under a
//! bound, writes are sent once.

use std::error::Error;
use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_smithy_async::future::pagination_stream::PaginationStream;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use tokio::sync::Semaphore;

use super::count::CallCounter;
use super::failure;
use super::stamp::Stamp;
use crate::config::ClusterConfig;
use crate::model::Gap;

/// Reads under way at one time; more would only drain the account's buckets in bursts.
const READS_AT_ONCE: usize = 4;
/// Attempts of a read, the first included.
const READ_ATTEMPTS: u32 = 3;
const READ_BACKOFF_MAX: Duration = Duration::from_secs(5);
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
const ATTEMPT_LIMIT: Duration = Duration::from_secs(10);
const OPERATION_LIMIT: Duration = Duration::from_secs(25);
/// A write is given up after this, or earlier when its caller has less time.
pub(super) const WRITE_LIMIT: Duration = Duration::from_secs(8);

/// Why AWS cannot be reached at all, found before the first call.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error(
        "no AWS Region for {what}: set `region` in the configuration, AWS_REGION, or a region in \
         the profile"
    )]
    NoRegion { what: String },
    #[error("this machine cannot speak TLS: {why}")]
    NoTls { why: String },
}

/// Region, endpoint and the process's own credentials by the SDK's conventions; `what` needs them.
pub(super) async fn load_own(what: &str, region: Option<&str>) -> Result<SdkConfig, ConnectError> {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
    if let Ok(name) = AppName::new("tidegate") {
        loader = loader.app_name(name);
    }
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    let own = loader.load().await;
    match own.region() {
        Some(_) => Ok(own),
        None => Err(ConnectError::NoRegion { what: what.to_owned() }),
    }
}

/// As the configuration of a cluster says, with the role to assume.
pub(super) async fn load(config: &ClusterConfig) -> Result<SdkConfig, ConnectError> {
    let what = format!("cluster {}", config.name);
    let own = load_own(&what, config.region.as_deref()).await?;
    let Some(role) = &config.role_arn else {
        return Ok(own);
    };
    let mut assumed =
        aws_config::sts::AssumeRoleProvider::builder(role).session_name("tidegate").configure(&own);
    if let Some(id) = &config.external_id {
        assumed = assumed.external_id(id);
    }
    let provider = assumed.build().await;
    let scoped = own.into_builder();
    let provider = aws_credential_types::provider::SharedCredentialsProvider::new(provider);
    Ok(scoped.credentials_provider(provider).build())
}

/// Builds one client; the service crates share shapes but no types.
macro_rules! client {
    (
        $service:ident, $config:expr, [$($interceptor:expr),+], $retry:expr, $limits:expr,
        $partition:literal
    ) => {{
        let config = $service::config::Builder::from($config)
            .retry_config($retry)
            .retry_partition($service::config::retry::RetryPartition::new($partition))
            .timeout_config($limits)
            $(.interceptor($interceptor.clone()))+
            .build();
        $service::Client::from_conf(config)
    }};
}
pub(super) use client;

/// Clients that only read.
#[derive(Debug)]
pub(super) struct Reads {
    pub(super) ecs: aws_sdk_ecs::Client,
    pub(super) ecr: aws_sdk_ecr::Client,
    pub(super) autoscaling: aws_sdk_autoscaling::Client,
    pub(super) ec2: aws_sdk_ec2::Client,
    pub(super) targets: aws_sdk_applicationautoscaling::Client,
    pub(super) elbv2: aws_sdk_elasticloadbalancingv2::Client,
    pub(super) cloudwatch: aws_sdk_cloudwatch::Client,
    /// For what is not AWS, made when first needed; nothing if this machine cannot speak TLS.
    pub(super) http: OnceLock<Option<reqwest::Client>>,
    slots: Semaphore,
}

impl Reads {
    pub(super) fn new(config: &SdkConfig, counter: &CallCounter) -> Self {
        let retry = || {
            RetryConfig::standard()
                .with_max_attempts(READ_ATTEMPTS)
                .with_max_backoff(READ_BACKOFF_MAX)
        };
        let limits = || {
            TimeoutConfig::builder()
                .connect_timeout(CONNECT_LIMIT)
                .read_timeout(ATTEMPT_LIMIT)
                .operation_attempt_timeout(ATTEMPT_LIMIT)
                .operation_timeout(OPERATION_LIMIT)
                .build()
        };
        macro_rules! reader {
            ($service:ident) => {
                client!($service, config, [counter], retry(), limits(), "tidegate-reads")
            };
        }
        Self {
            ecs: reader!(aws_sdk_ecs),
            ecr: reader!(aws_sdk_ecr),
            autoscaling: reader!(aws_sdk_autoscaling),
            ec2: reader!(aws_sdk_ec2),
            targets: reader!(aws_sdk_applicationautoscaling),
            elbv2: reader!(aws_sdk_elasticloadbalancingv2),
            cloudwatch: reader!(aws_sdk_cloudwatch),
            http: OnceLock::new(),
            slots: Semaphore::new(READS_AT_ONCE),
        }
    }

    /// One call. `source` names it in gaps and, being the permission it needs, in refusals.
    pub(super) async fn one<T, E>(
        &self,
        source: &str,
        call: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, Gap>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let _slot = self.slots.acquire().await;
        call.await.map_err(|error| failure::gap(source, &error))
    }

    /// All pages of a listing, or none.
    pub(super) async fn pages<T, E>(
        &self,
        source: &str,
        mut stream: PaginationStream<Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<Vec<T>, Gap>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let mut pages = Vec::new();
        loop {
            let slot = self.slots.acquire().await;
            let page = stream.next().await;
            drop(slot);
            match page {
                Some(page) => pages.push(page.map_err(|error| failure::gap(source, &error))?),
                None => return Ok(pages),
            }
        }
    }
}

/// Clients that write: the SDK never repeats what they send.
#[derive(Debug)]
pub(super) struct Writes {
    pub(super) ecs: aws_sdk_ecs::Client,
    pub(super) autoscaling: aws_sdk_autoscaling::Client,
    pub(super) ec2: aws_sdk_ec2::Client,
    pub(super) targets: aws_sdk_applicationautoscaling::Client,
    pub(super) elbv2: aws_sdk_elasticloadbalancingv2::Client,
}

impl Writes {
    pub(super) fn new(config: &SdkConfig, counter: &CallCounter, stamp: &Stamp) -> Self {
        macro_rules! writer {
            ($service:ident) => {{
                let (retry, limits) = (RetryConfig::disabled(), write_limits(WRITE_LIMIT));
                client!($service, config, [counter, stamp], retry, limits, "tidegate-writes")
            }};
        }
        Self {
            ecs: writer!(aws_sdk_ecs),
            autoscaling: writer!(aws_sdk_autoscaling),
            ec2: writer!(aws_sdk_ec2),
            targets: writer!(aws_sdk_applicationautoscaling),
            elbv2: writer!(aws_sdk_elasticloadbalancingv2),
        }
    }
}

/// Timeouts of one write that must end within `limit`.
pub(super) fn write_limits(limit: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_LIMIT.min(limit))
        .read_timeout(limit)
        .operation_attempt_timeout(limit)
        .operation_timeout(limit)
        .build()
}
