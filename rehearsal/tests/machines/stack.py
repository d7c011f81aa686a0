"""What Terraform would make, as far as machines need it, by the AWS API."""

import base64

import boto3

NAME = "tideline"
SETTINGS = """#cloud-config
write_files:
  - path: /etc/tideline/tideline.env
    permissions: "0600"
    content: |
      AWS_REGION=eu-west-1
      TIDELINE_TABLE=tideline
      TIDELINE_DRAIN_DELAY=1s
      # Version {version} of the launch template.
"""


class Stack:
    """A group of two behind a load balancer, with a launch template of two versions."""

    def __init__(self, endpoint):
        session = boto3.Session("test", "test", region_name="eu-west-1")
        client = lambda name: session.client(name, endpoint_url=endpoint)  # noqa: E731
        self.ec2, self.elb, self.scaling = client("ec2"), client("elbv2"), client("autoscaling")
        self.dynamodb, self.cloudwatch = client("dynamodb"), client("cloudwatch")

    def make(self, image):
        self.dynamodb.create_table(
            TableName=NAME,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "shard", "KeyType": "HASH"}, {"AttributeName": "id", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("shard", "id")],
        )
        vpc = self.ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            self.ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.20.{n}.0/24", AvailabilityZone=f"eu-west-1{zone}")["Subnet"]["SubnetId"]
            for n, zone in enumerate("ab")
        ]
        self.group = self.elb.create_target_group(
            Name=NAME, Protocol="HTTP", Port=8080, VpcId=vpc, TargetType="instance", HealthCheckPath="/health",
            HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2, HealthyThresholdCount=2, UnhealthyThresholdCount=2,
            Matcher={"HttpCode": "200"},
        )["TargetGroups"][0]["TargetGroupArn"]  # fmt: skip
        self.elb.modify_target_group_attributes(
            TargetGroupArn=self.group,
            Attributes=[
                {"Key": "deregistration_delay.timeout_seconds", "Value": "10"},
                {"Key": "load_balancing.algorithm.type", "Value": "least_outstanding_requests"},
            ],
        )
        balancer = self.elb.create_load_balancer(Name=NAME, Subnets=subnets, Type="application")["LoadBalancers"][0]
        listener = self.elb.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=80,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": self.group}],
        )["Listeners"][0]["ListenerArn"]  # fmt: skip
        self.listener = listener
        self.respond(1, ["/metrics", "/metrics/*"], "404", "Not found")
        template = None
        for version in (1, 2):
            data = {
                "ImageId": image,
                "InstanceType": "t3.small",
                "UserData": base64.b64encode(SETTINGS.format(version=version).encode()).decode(),
                "IamInstanceProfile": {"Arn": "arn:aws:iam::123456789012:instance-profile/tideline-instance"},
                "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 1, "InstanceMetadataTags": "enabled"},
                "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "Build", "Value": str(version)}]}],
            }
            if template is None:
                made = self.ec2.create_launch_template(LaunchTemplateName=NAME, LaunchTemplateData=data)
                template = made["LaunchTemplate"]["LaunchTemplateId"]
            else:
                self.ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData=data)
        self.template = template
        self.scaling.create_auto_scaling_group(
            AutoScalingGroupName=NAME, MinSize=2, MaxSize=4, DesiredCapacity=2, VPCZoneIdentifier=",".join(subnets),
            TargetGroupARNs=[self.group], HealthCheckType="ELB", HealthCheckGracePeriod=600, DefaultInstanceWarmup=10,
            LaunchTemplate={"LaunchTemplateId": template, "Version": "1"},
            InstanceMaintenancePolicy={"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150},
        )  # fmt: skip

    def respond(self, priority, paths, status, body):
        response = {"StatusCode": status, "ContentType": "text/plain", "MessageBody": body}
        self.elb.create_rule(
            ListenerArn=self.listener, Priority=priority,
            Conditions=[{"Field": "path-pattern", "PathPatternConfig": {"Values": paths}}],
            Actions=[{"Type": "fixed-response", "FixedResponseConfig": response}],
        )  # fmt: skip

    def close(self, path):
        """Has the load balancer answer for a path."""
        self.respond(2, [path], "410", "Closed")

    def track(self, target):
        """Keeps the group's CPU at `target` per cent."""
        self.scaling.put_scaling_policy(
            AutoScalingGroupName=NAME, PolicyName="cpu", PolicyType="TargetTrackingScaling",
            TargetTrackingConfiguration={
                "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
                "TargetValue": target,
            },
        )  # fmt: skip

    def now(self):
        """The region's time."""
        template = {"LaunchTemplateId": self.template, "Version": "1"}
        sizes = {"MinSize": 0, "MaxSize": 0, "AvailabilityZones": ["eu-west-1a"]}
        self.scaling.create_auto_scaling_group(AutoScalingGroupName="clock", LaunchTemplate=template, **sizes)
        made = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["clock"])["AutoScalingGroups"][0]
        self.scaling.delete_auto_scaling_group(AutoScalingGroupName="clock")
        return made["CreatedTime"]

    def instances(self):
        """Instances of the group by id."""
        found = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])["AutoScalingGroups"][0]
        return {instance["InstanceId"]: instance for instance in found["Instances"]}

    def health(self):
        """The states of targets by id."""
        found = self.elb.describe_target_health(TargetGroupArn=self.group)["TargetHealthDescriptions"]
        return {target["Target"]["Id"]: target["TargetHealth"]["State"] for target in found}

    def refresh(self, version):
        """Starts an instance refresh; its id."""
        template = {"LaunchTemplateId": self.template, "Version": version}
        return self.scaling.start_instance_refresh(
            AutoScalingGroupName=NAME,
            DesiredConfiguration={"LaunchTemplate": template},
            Preferences={"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150, "InstanceWarmup": 5},
        )["InstanceRefreshId"]

    def refreshed(self, refresh):
        found = self.scaling.describe_instance_refreshes(AutoScalingGroupName=NAME, InstanceRefreshIds=[refresh])
        return found["InstanceRefreshes"][0]

    def alarms(self):
        """States of the alarms of target tracking, by their names without their ids."""
        found = self.cloudwatch.describe_alarms(AlarmNamePrefix=f"TargetTracking-{NAME}-")["MetricAlarms"]
        return {alarm["AlarmName"].split("-")[2]: alarm["StateValue"] for alarm in found}

    def causes(self):
        """What the group did, and why, the latest first."""
        activities = self.scaling.describe_scaling_activities(AutoScalingGroupName=NAME)["Activities"]
        return "\n".join(f"{each['StartTime']} {each['Description']}: {each['Cause']}" for each in activities)
