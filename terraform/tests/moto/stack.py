"""Applies, looks at what the API then says, applies again, and destroys."""

import signal
import sys
import time

import expect
from pretend import REGION, Clients, Terraform, start_server

DEFAULTS = {
    "region": REGION,
    "build_version": "0.1.0-1f2e3d4",
    "write_token_sha256": ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
}


def main():
    began = time.monotonic()

    def step(title: str):
        print(f"{time.monotonic() - began:5.0f} s  {title}", flush=True)

    # A termination must clean up like any other failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    endpoint = start_server()
    aws = Clients(endpoint)
    before = expect.inventory(aws)
    images = [image["ImageId"] for image in aws.ec2.describe_images(Owners=["amazon"])["Images"]]
    zone = aws.route53.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"].split("/")[-1]
    aws.ec2.create_key_pair(KeyName="operator")

    options = {
        "in front: HTTPS, WAF, access log, e-mail": (
            {
                "domain_name": "data.example.com",
                "hosted_zone_id": zone,
                "waf_enabled": True,
                "access_logs_enabled": True,
                "alarm_email": "on-call@example.com",
            },
            expect.front,
        ),
        "capacity: requests, schedules, warm pool, SSH, Session Manager": (
            {
                "requests_per_target": 3000,
                "schedules": {"morning": {"recurrence": "0 7 * * MON-FRI", "desired_capacity": 4}},
                "warm_pool": {"min_size": 1},
                "allowed_ssh_cidrs": ["203.0.113.7/32"],
                "ssh_key_name": "operator",
                "session_manager_enabled": True,
            },
            expect.capacity,
        ),
        "private subnets and Spot Instances": (
            {
                "private_subnets_enabled": True,
                "spot": {"instance_types": ["t3.small", "t3a.small"]},
            },
            expect.private,
        ),
    }

    with Terraform(endpoint) as terraform:
        step("defaults")
        build = DEFAULTS | {"image_id": images[0]}
        outputs = terraform.apply(build)
        expect.defaults(aws, outputs, build)
        terraform.plan_is_empty()

        step("what a rollout and scaling change is theirs")
        expect.change_as_a_rollout_does(aws)
        terraform.plan_is_empty()

        step("another build: a version of the template, and no instance is touched")
        build |= {"image_id": images[1], "build_version": "0.1.1-5a6b7c8"}
        outputs = terraform.apply(build)
        expect.another_build(aws, outputs, build)
        terraform.plan_is_empty()
        expect.roll_out(aws, outputs)
        terraform.plan_is_empty()

        for title, (variables, check) in options.items():
            step(title)
            outputs = terraform.apply(build | variables)
            check(aws, outputs)
            terraform.plan_is_empty()

        step("back to the defaults")
        outputs = terraform.apply(build)
        expect.nothing_optional(aws)
        terraform.plan_is_empty()

        step("destroy")
        aws.route53.delete_hosted_zone(Id=zone)
        terraform.apply(build | {"table_deletion_protection": False})
        terraform.destroy(build)
        left = expect.inventory(aws) - before
        assert not left, f"left after destroy: {sorted(left)}"
    step("done")


main()
