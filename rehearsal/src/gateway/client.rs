//! Calls to whoever is behind: forwarded ones, and our own.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Body;
use crate::protocol::query::Call;
use crate::protocol::{Failure, Tree, xml};

const CONNECT: Duration = Duration::from_secs(5);
/// moto answers in milliseconds, but one call at a time.
const ANSWER: Duration = Duration::from_secs(120);
/// An answer to a call of ours.
const BODY: usize = 16 << 20;

/// Whoever is behind.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// `127.0.0.1:5000`
    authority: String,
    region: String,
}

/// A service that is called in the Query protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    name: &'static str,
    version: &'static str,
    /// Its lists have no word `member`.
    ec2: bool,
}

pub(crate) const EC2: Service = Service { name: "ec2", version: "2016-11-15", ec2: true };
pub(crate) const ELB: Service = Service { name: "elasticloadbalancing", version: "2015-12-01", ec2: false };
pub(crate) const CLOUDWATCH: Service = Service { name: "monitoring", version: "2010-08-01", ec2: false };

fn unavailable(what: &str, error: impl std::fmt::Display) -> Failure {
    Failure::new("ServiceUnavailable", format!("The pretend region's upstream {what}: {error}")).status(503)
}

impl Upstream {
    /// Fails unless `url` is of the form `http://HOST:PORT`.
    pub(crate) fn new(url: &str, region: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("no URL: {error}"))?;
        let authority =
            uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or("it must be http://HOST:PORT")?;
        let port = authority.port_u16().unwrap_or(80);
        Ok(Self { authority: format!("{}:{port}", authority.host()), region: region.to_owned() })
    }

    /// Sends a call on as it came, and the answer back as it comes.
    pub(crate) async fn forward(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Body>, Failure> {
        // These are about the connection that it came on. The body has a length now.
        for name in [CONNECTION, TRANSFER_ENCODING, hyper::header::EXPECT] {
            request.headers_mut().remove(name);
        }
        // hyper wants no authority in the request line.
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        *request.uri_mut() = path.parse().map_err(|error| unavailable("has no such path", error))?;
        let mut response = self.send(request).await?;
        response.headers_mut().remove(CONNECTION);
        Ok(response.map(BodyExt::boxed))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failure> {
        let connect = tokio::time::timeout(CONNECT, TcpStream::connect(&self.authority));
        let stream = connect.await.map_err(|error| unavailable("does not answer", error))?;
        let stream = stream.map_err(|error| unavailable("is not there", error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unavailable("is not there", error))?;
        // It ends with the answer's last byte, or with whoever reads it.
        tokio::spawn(connection);
        let answer = tokio::time::timeout(ANSWER, sender.send_request(request)).await;
        answer.map_err(|error| unavailable("does not answer", error))?.map_err(|error| unavailable("hung up", error))
    }

    /// Asks something of our own; the answer's root element's content.
    pub(crate) async fn ask(&self, service: Service, action: &str, parameters: Tree) -> Result<Tree, Failure> {
        let call = Call { action: action.to_owned(), parameters };
        // Nobody checks the signature; the scope is how the service is found.
        let scope = format!("rehearsal/20260101/{}/{}/aws4_request", self.region, service.name);
        let signed = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
        let request = Request::post("/")
            .header(HOST, &self.authority)
            .header(AUTHORIZATION, signed)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::from(call.write(service.version, service.ec2))))
            .map_err(|error| unavailable("cannot be asked", error))?;
        let response = self.send(request).await?;
        let status = response.status();
        let body = tokio::time::timeout(ANSWER, Limited::new(response.into_body(), BODY).collect()).await;
        let body = body.map_err(|error| unavailable("does not answer", error))?;
        let body = body.map_err(|error| unavailable("hung up", error))?.to_bytes();
        let document =
            xml::read(&String::from_utf8_lossy(&body)).map_err(|error| unavailable("answers no XML", error))?;
        let root = document.children().next().map(|(_, root)| root.clone()).unwrap_or_default();
        if status.is_success() {
            return Ok(root);
        }
        // EC2 has <Response><Errors><Error>, the others <ErrorResponse><Error>.
        let error = root.get("Errors.Error").or_else(|| root.get("Error")).cloned().unwrap_or_default();
        Err(Failure::new(
            error.text("Code").unwrap_or("ServiceUnavailable"),
            error.text("Message").unwrap_or("The upstream gave no reason"),
        )
        .status(status.as_u16()))
    }

    /// The port of a target group's targets.
    pub(crate) async fn target_port(&self, arn: &str) -> Result<u16, Failure> {
        let parameters = Tree::new().with("TargetGroupArns", Tree::list([Tree::leaf(arn)]));
        let found = self.ask(ELB, "DescribeTargetGroups", parameters).await?;
        let port = found.number("DescribeTargetGroupsResult.TargetGroups.member.Port")?;
        Ok(port.unwrap_or(crate::targets::PORT))
    }

    /// Puts into a call of Auto Scaling what AWS knows and the model does not: id and name of a launch template, and that its
    /// version exists; and in which zones the subnets are.
    pub(crate) async fn resolve(&self, call: &mut Call) -> Result<(), Failure> {
        for path in [
            &["LaunchTemplate"][..],
            &["MixedInstancesPolicy", "LaunchTemplate", "LaunchTemplateSpecification"],
            &["DesiredConfiguration", "LaunchTemplate"],
            &["DesiredConfiguration", "MixedInstancesPolicy", "LaunchTemplate", "LaunchTemplateSpecification"],
        ] {
            if let Some(template) = call.parameters.get(&path.join(".")).filter(|tree| !tree.is_empty()) {
                let template = self.template(template).await?;
                call.parameters = call.parameters.replaced(path, template);
            }
        }
        let subnets = call.parameters.text("VPCZoneIdentifier").map(str::to_owned);
        if let Some(subnets) = subnets {
            let ids = Tree::list(subnets.split(',').map(|id| Tree::leaf(id.trim())));
            let found = self.ask(EC2, "DescribeSubnets", Tree::new().with("SubnetId", ids)).await?;
            let subnets = found.members("subnetSet").map(|subnet| {
                Tree::new()
                    .maybe("SubnetId", subnet.text("subnetId"))
                    .maybe("AvailabilityZone", subnet.text("availabilityZone"))
            });
            call.parameters = call.parameters.clone().replace("Subnets", Tree::list(subnets));
        }
        Ok(())
    }

    async fn template(&self, given: &Tree) -> Result<Tree, Failure> {
        let version = given.text("Version").unwrap_or("$Default");
        let parameters = Tree::new()
            .maybe("LaunchTemplateId", given.text("LaunchTemplateId"))
            .maybe("LaunchTemplateName", given.text("LaunchTemplateName"))
            .with("LaunchTemplateVersion", Tree::list([Tree::leaf(version)]));
        let invalid =
            |why: &str| Failure::validation(format!("You must use a valid fully-formed launch template. {why}"));
        let found = self.ask(EC2, "DescribeLaunchTemplateVersions", parameters).await;
        let found = found.map_err(|failure| if failure.status < 500 { invalid(&failure.message) } else { failure })?;
        let one = found.members("launchTemplateVersionSet").next();
        let one = one.ok_or_else(|| invalid(&format!("Could not find launch template version {version}")))?;
        Ok(Tree::new()
            .maybe("LaunchTemplateId", one.text("launchTemplateId"))
            .maybe("LaunchTemplateName", one.text("launchTemplateName"))
            .set("Version", version))
    }
}
