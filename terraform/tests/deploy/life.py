"""The life of a deployment, step by step, each with what must then be true."""

import base64
import hashlib
import json
import re
import signal
import sys
import time

import expect
from checkout import Checkout
from pretend import Clients, start_server
from region import Images, gateway

NAME = "tideline"


def running(aws):
    """The template version that the group launches."""
    return expect.group(aws)["LaunchTemplate"]["Version"]


def versions(aws):
    return len(aws.ec2.describe_launch_template_versions(LaunchTemplateName=NAME)["LaunchTemplateVersions"])


def settled(aws, version):
    """All instances are of that version, in service and healthy."""
    group = expect.group(aws)
    found = [(i["LaunchTemplate"]["Version"], i["LifecycleState"], i["HealthStatus"]) for i in group["Instances"]]
    assert len(found) >= 2 and set(found) == {(version, "InService", "Healthy")}, found


def refused(checkout):
    """What cannot work is said before anything is made."""
    said = checkout.make("build-app", fails=True, AWS_REGION="", TF_VAR_allowed_ssh_cidrs='["0.0.0.0/0"]', TF_VAR_max_size="1")
    assert "no region" in said, said
    said = checkout.make("build-app", fails=True, TF_VAR_allowed_ssh_cidrs='["0.0.0.0/0"]', TF_VAR_max_size="1")
    for reason in ("SSH is not opened to the internet", "needs ssh_key_name", "max_size must be a whole number"):
        assert reason in said, (reason, said)
    said = checkout.make("build-app", fails=True, TF_VAR_region="eu-central-1")
    assert "make them the same" in said, said
    said = checkout.make("build-app", fails=True, IMAGE="ami-0123456789abcdef0")
    assert "There is no image ami-0123456789abcdef0" in said, said
    said = checkout.make("status", fails=True)
    assert "make build-app" in said, said


def interrupted(checkout, aws, image):
    """Ctrl-C in the middle of it: what is under way is finished, and nothing else begun. The next run goes on from there."""

    said = checkout.interrupt("build-app", lambda: aws.elbv2.describe_load_balancers()["LoadBalancers"], IMAGE=image)
    assert "Ctrl-C: terraform finishes" in said and "Interrupt received" not in said, said
    assert "Apply complete" in said and "== rollout" not in said, said
    # Had it been told twice, and been cut off in that very call: there is a table, and Terraform does not know of it.
    checkout.terraform("state", "rm", "aws_dynamodb_table.documents")


def first(checkout, aws, image, vpcs):
    said = checkout.make("build-app", IMAGE=image)
    assert "the table tideline is there, from a run that was interrupted" in said, said
    (url,) = re.findall(r"^http://\S+$", said, re.M)
    assert url == "http://" + expect.balancer(aws)["DNSName"], said
    assert (running(aws), versions(aws)) == ("1", 1)
    data = expect.template(aws, "1")
    assert data["ImageId"] == image, data
    # What the token says is what the machines are told.
    token = checkout.folder / "terraform" / "write-token"
    assert token.stat().st_mode & 0o777 == 0o600, oct(token.stat().st_mode)
    secret = token.read_text().strip()
    told = base64.b64decode(data["UserData"]).decode()
    assert hashlib.sha256(secret.encode()).hexdigest() in told, told
    assert secret not in told + said, "the token itself has no business there"
    assert len(aws.ec2.describe_vpcs()["Vpcs"]) == vpcs + 1, "what the interrupted run made was made again"
    assert checkout.git("status", "--porcelain") == "", "the token, the state or a plan is not ignored"
    assert not list((checkout.folder / "terraform").glob("*.tfplan"))
    tags = {t["Key"]: t["Value"] for s in data["TagSpecifications"] if s["ResourceType"] == "instance" for t in s["Tags"]}
    assert tags["Build"] == "0.1.0+1111111", tags
    settled(aws, "1")
    return secret


def again(checkout, aws, image, secret):
    before = expect.inventory(aws)
    said = checkout.make("build-app", IMAGE=image)
    assert "Nothing is to be changed" in said, said
    # Also the same instances: nothing was rolled out.
    assert expect.inventory(aws) == before
    assert (running(aws), versions(aws)) == ("1", 1)
    assert (checkout.folder / "terraform" / "write-token").read_text().strip() == secret


def next_version(checkout, aws, images):
    """The image of the checkout's own commit, as if it had just been baked."""
    image = images.baked(checkout)
    said = checkout.make("plan")
    assert image in said and versions(aws) == 1, said
    said = checkout.make("deploy")
    assert f"image {image} is of this very build: nothing is baked" in said, said
    assert (running(aws), versions(aws)) == ("2", 2)
    assert expect.template(aws, "2")["ImageId"] == image
    settled(aws, "2")
    before = expect.inventory(aws)
    said = checkout.make("deploy")
    assert "Nothing is to be changed" in said, said
    assert expect.inventory(aws) == before


def look(checkout, aws):
    said = checkout.make("status")
    for instance in expect.group(aws)["Instances"]:
        assert instance["InstanceId"] in said, said
    now = int(time.time() * 1000)
    aws.logs.create_log_stream(logGroupName="/tideline/service", logStreamName="i-1")
    events = [{"timestamp": now - 2000, "message": '{"status":200}'}, {"timestamp": now - 1000, "message": '{"status":503}'}]
    aws.logs.put_log_events(logGroupName="/tideline/service", logStreamName="i-1", logEvents=events)
    said = checkout.make("logs", SINCE="5")
    assert said.index('{"status":200}') < said.index('{"status":503}'), said
    said = checkout.make("cost", RATE="50")
    assert "at 2 instances" in said and "t3.small" in said and "50 requests a second" in said, said


def rotated(checkout, aws, secret):
    """Two tokens are good at a time, and no third."""
    checkout.script("new-token")
    said = checkout.script("token")
    assert len(json.loads(said)) == 2 and hashlib.sha256(secret.encode()).hexdigest() in said, said
    assert "remove it first" in checkout.script("new-token", fails=True)
    folder = checkout.folder / "terraform"
    (folder / "write-token.old").rename(folder / "write-token")
    # Without its token, this checkout must not lock out those who have it.
    kept = (folder / "write-token").rename(checkout.folder / "target" / "kept")
    assert "has a write token" in checkout.make("deploy", fails=True)
    kept.rename(folder / "write-token")


def back(checkout, aws):
    checkout.make("rollback")
    assert running(aws) == "1", running(aws)
    settled(aws, "1")


def restored(checkout, aws):
    """The table as it was, in place of the one there is."""
    aws.dynamodb.restore_table_to_point_in_time(
        SourceTableName=NAME, TargetTableName="tideline-restored", UseLatestRestorableTime=True
    )
    assert "There is no table another" in checkout.script("use-table", "another", fails=True)
    checkout.script("use-table", "tideline-restored")
    said = checkout.make("deploy", fails=True)
    assert "Refused" in said and "aws_dynamodb_table.documents" in said, said
    (checkout.folder / "terraform" / "terraform.tfvars").write_text('table_name = "tideline-restored"\n')
    checkout.make("deploy")
    told = base64.b64decode(expect.template(aws, running(aws))["UserData"]).decode()
    assert "TIDELINE_TABLE=tideline-restored" in told, told
    table = aws.dynamodb.describe_table(TableName="tideline-restored")["Table"]
    assert table["DeletionProtectionEnabled"] is True, table
    assert NAME in aws.dynamodb.list_tables()["TableNames"]
    checkout.script("use-table", "tideline-restored")
    aws.dynamodb.update_table(TableName=NAME, DeletionProtectionEnabled=False)
    aws.dynamodb.delete_table(TableName=NAME)


def destroyed(checkout, aws, before):
    said = checkout.make("destroy", fails=True)
    assert "CONFIRM=tideline" in said, said
    said = checkout.make("destroy", fails=True, CONFIRM="another")
    assert "That is not its name" in said, said
    assert expect.group(aws)["Instances"]
    # Something of the deployment that Terraform does not know of.
    tags = [{"Key": "Application", "Value": "tideline"}, {"Key": "Stack", "Value": NAME}]
    stray = aws.ec2.create_volume(
        AvailabilityZone="eu-west-1a", Size=1, TagSpecifications=[{"ResourceType": "volume", "Tags": tags}]
    )["VolumeId"]
    said = checkout.make("destroy", fails=True, CONFIRM=NAME, TIDELINE_LEFT_WAIT="1")
    assert f"volume {stray}" in said, said
    aws.ec2.delete_volume(VolumeId=stray)
    said = checkout.make("destroy", CONFIRM=NAME, TIDELINE_LEFT_WAIT="60")
    assert "Nothing is left of tideline" in said, said
    left = expect.inventory(aws) - before
    assert not left, sorted(left)


def main():
    began = time.monotonic()

    def step(title):
        print(f"{time.monotonic() - began:5.0f} s  {title}", flush=True)

    # A termination must clean up like any other failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    moto = start_server()
    with gateway(moto) as endpoint, Checkout(endpoint) as checkout:
        aws = Clients(endpoint)
        images = Images(aws)
        before = expect.inventory(aws)
        vpcs = sum(kind == "vpc" for kind, _ in before)
        image = images.make("0.1.0", "1" * 40)
        step("what cannot work")
        refused(checkout)
        step("build-app, interrupted")
        interrupted(checkout, aws, image)
        step("build-app")
        secret = first(checkout, aws, image, vpcs)
        step("build-app again")
        again(checkout, aws, image, secret)
        step("deploy, and again")
        next_version(checkout, aws, images)
        step("status, logs, cost")
        look(checkout, aws)
        step("the token")
        rotated(checkout, aws, secret)
        step("rollback")
        back(checkout, aws)
        step("a table that was restored")
        restored(checkout, aws)
        step("destroy")
        destroyed(checkout, aws, before)
    step("done")


main()
