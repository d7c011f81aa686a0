"""The region in front of moto: Terraform with the real provider, then rollouts as the fleet asks for them."""

import os
import signal
import subprocess
import sys
import time

import expect
from pretend import REGION, Clients, Terraform, start_server

NAME = expect.NAME
DEFAULTS = {
    "region": REGION,
    "build_version": "0.1.0-1f2e3d4",
    "write_token_sha256": ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
}
# As a rollout asks for it.
PREFERENCES = {
    "MinHealthyPercentage": 100,
    "MaxHealthyPercentage": 150,
    "AutoRollback": True,
    "SkipMatching": True,
    "BakeTime": 60,
    "AlarmSpecification": {"Alarms": ["tideline-5xx", "tideline-unhealthy"]},
}
ACTIVE = ("Pending", "InProgress", "Baking", "RollbackInProgress")


class Region:
    """`tideline-rehearsal region` in front of `upstream`. It ends with this process, whose pipe it reads."""

    def __init__(self, upstream: str):
        self.process = subprocess.Popen(
            [
                *(os.environ["TIDELINE_REHEARSAL"], "region", "--upstream", upstream, "--speed", "60"),
                *("--behave", "3=never-healthy", "--behave", "4=errors", "--refresh-limit", "5m"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.endpoint = self.process.stdout.readline().strip()
        assert self.endpoint.startswith("http://127.0.0.1:"), self.endpoint

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(10) == 0


def healthy(aws, outputs: dict) -> dict:
    """Instances in service, all healthy by the balancer's account too: their builds by id."""
    deadline = time.monotonic() + 30
    while True:
        fleet = expect.group(aws)
        targets = aws.elbv2.describe_target_health(TargetGroupArn=outputs["target_group_arn"])["TargetHealthDescriptions"]
        states = {target["Target"]["Id"]: target["TargetHealth"]["State"] for target in targets}
        ids = {instance["InstanceId"] for instance in fleet["Instances"] if instance["LifecycleState"] == "InService"}
        if len(ids) == fleet["DesiredCapacity"] and states == dict.fromkeys(ids, "healthy"):
            break
        assert time.monotonic() < deadline, (fleet, states)
        time.sleep(0.1)
    found = [i for r in aws.ec2.describe_instances(InstanceIds=sorted(ids))["Reservations"] for i in r["Instances"]]
    assert all(instance["State"]["Name"] == "running" for instance in found), found
    assert {i["Placement"]["AvailabilityZone"] for i in found} == {f"{REGION}a", f"{REGION}b"}, found
    return {i["InstanceId"]: {tag["Key"]: tag["Value"] for tag in i["Tags"]}["Build"] for i in found}


def running(aws) -> set:
    """What EC2 has, whatever the group says."""
    found = [i for r in aws.ec2.describe_instances()["Reservations"] for i in r["Instances"]]
    return {instance["InstanceId"] for instance in found if instance["State"]["Name"] != "terminated"}


def refresh(aws, outputs: dict) -> dict:
    template = {"LaunchTemplateId": outputs["launch_template_id"], "Version": str(outputs["launch_template_version"])}
    started = aws.autoscaling.start_instance_refresh(
        AutoScalingGroupName=NAME, DesiredConfiguration={"LaunchTemplate": template}, Preferences=PREFERENCES
    )
    ids = [started["InstanceRefreshId"]]
    deadline = time.monotonic() + 60
    while True:
        answer = aws.autoscaling.describe_instance_refreshes(AutoScalingGroupName=NAME, InstanceRefreshIds=ids)
        (found,) = answer["InstanceRefreshes"]
        if found["Status"] not in ACTIVE:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


def main():
    began = time.monotonic()

    def step(title: str):
        print(f"{time.monotonic() - began:5.0f} s  {title}", flush=True)

    # A termination must clean up like any other failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    region = Region(start_server())
    aws = Clients(region.endpoint)
    before = expect.inventory(aws)
    images = [image["ImageId"] for image in aws.ec2.describe_images(Owners=["amazon"])["Images"]]

    with Terraform(region.endpoint) as terraform:
        step("defaults")
        build = DEFAULTS | {"image_id": images[0]}
        outputs = terraform.apply(build)
        assert set(healthy(aws, outputs).values()) == {build["build_version"]}
        expect.defaults(aws, outputs, build)
        terraform.plan_is_empty()

        step("a second version is rolled out")
        build |= {"image_id": images[1], "build_version": "0.1.1-5a6b7c8"}
        outputs = terraform.apply(build)
        done = refresh(aws, outputs)
        assert (done["Status"], done["PercentageComplete"]) == ("Successful", 100), done
        assert set(healthy(aws, outputs).values()) == {build["build_version"]}
        assert expect.group(aws)["LaunchTemplate"]["Version"] == "2", expect.group(aws)
        terraform.plan_is_empty()

        for version, why in ((3, "made no progress"), (4, "tideline-5xx")):
            step(f"version {version} is rolled back: {why}")
            bad = build | {"build_version": f"0.1.{version}-9d8e7f6"}
            outputs = terraform.apply(bad)
            back = refresh(aws, outputs)
            assert back["Status"] == "RollbackSuccessful", back
            assert why in back["RollbackDetails"]["RollbackReason"], back
            assert set(healthy(aws, outputs).values()) == {build["build_version"]}
            assert expect.group(aws)["LaunchTemplate"]["Version"] == "2", expect.group(aws)
            terraform.plan_is_empty()

        step("EC2 and the group agree")
        deadline = time.monotonic() + 10
        while running(aws) != {instance["InstanceId"] for instance in expect.group(aws)["Instances"]}:
            assert time.monotonic() < deadline, (running(aws), expect.group(aws))
            time.sleep(0.2)

        step("destroy")
        terraform.apply(bad | {"table_deletion_protection": False})
        terraform.destroy(bad)
        left = expect.inventory(aws) - before
        assert not left, f"left after destroy: {sorted(left)}"
    region.stop()
    step("done")


main()
