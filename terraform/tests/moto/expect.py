"""What the API must say after each step."""

import base64
import json

NAME = "tideline"


def template(aws, version: str) -> dict:
    versions = aws.ec2.describe_launch_template_versions(LaunchTemplateName=NAME, Versions=[version])
    return versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]


def group(aws) -> dict:
    return aws.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[NAME])["AutoScalingGroups"][0]


def balancer(aws) -> dict:
    return aws.elbv2.describe_load_balancers(Names=[NAME])["LoadBalancers"][0]


def attributes(answer: dict) -> dict:
    return {attribute["Key"]: attribute["Value"] for attribute in answer["Attributes"]}


def listeners(aws) -> dict:
    found = aws.elbv2.describe_listeners(LoadBalancerArn=balancer(aws)["LoadBalancerArn"])["Listeners"]
    return {listener["Port"]: listener for listener in found}


def ingress(aws, name: str) -> dict:
    """Who may reach which port of a security group: networks, or the names of groups."""
    groups = aws.ec2.describe_security_groups()["SecurityGroups"]
    names = {each["GroupId"]: each["GroupName"] for each in groups}
    (found,) = [each for each in groups if each["GroupName"] == name]
    return {
        rule["FromPort"]: [r["CidrIp"] for r in rule["IpRanges"]] + [names[p["GroupId"]] for p in rule["UserIdGroupPairs"]]
        for rule in found["IpPermissions"]
    }


def policies(aws) -> dict:
    (profile,) = aws.iam.list_instance_profiles()["InstanceProfiles"]
    (role,) = profile["Roles"]
    names = aws.iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
    return {name: aws.iam.get_role_policy(RoleName=role["RoleName"], PolicyName=name)["PolicyDocument"] for name in names}


def metrics_are_hidden(aws, listener: dict):
    rules = aws.elbv2.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
    (rule,) = [rule for rule in rules if not rule["IsDefault"]]
    assert rule["Priority"] == "1", rule
    assert "/metrics" in rule["Conditions"][0]["PathPatternConfig"]["Values"], rule
    assert rule["Actions"][0]["FixedResponseConfig"]["StatusCode"] == "404", rule


def defaults(aws, outputs: dict, build: dict):
    table = aws.dynamodb.describe_table(TableName=outputs["table_name"])["Table"]
    keys = {key["AttributeName"]: key["KeyType"] for key in table["KeySchema"]}
    assert keys == {"shard": "HASH", "id": "RANGE"}, keys
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST", table
    assert table["DeletionProtectionEnabled"] is True, table
    assert table["SSEDescription"]["Status"] == "ENABLED", table
    expiry = aws.dynamodb.describe_time_to_live(TableName=NAME)["TimeToLiveDescription"]
    assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires_at"}, expiry
    backups = aws.dynamodb.describe_continuous_backups(TableName=NAME)["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED", backups

    first = template(aws, "1")
    assert first["ImageId"] == build["image_id"], first
    assert first["MetadataOptions"]["HttpTokens"] == "required", first
    assert first["MetadataOptions"]["HttpPutResponseHopLimit"] == 1, first
    assert first["MetadataOptions"]["InstanceMetadataTags"] == "enabled", first
    assert first["Monitoring"]["Enabled"] is True, first
    (disk,) = first["BlockDeviceMappings"]
    assert disk["DeviceName"] == "/dev/xvda" and disk["Ebs"]["Encrypted"] and disk["Ebs"]["VolumeType"] == "gp3", disk
    assert {spec["ResourceType"] for spec in first["TagSpecifications"]} == {"instance", "volume", "network-interface"}
    settings = base64.b64decode(first["UserData"]).decode()
    assert settings.startswith("#cloud-config\n") and settings.count('"path"') == 1, settings
    for line in ("TIDELINE_TABLE=tideline", f"TIDELINE_WRITE_TOKEN_SHA256={build['write_token_sha256'][0]}"):
        assert line in settings, settings

    fleet = group(aws)
    assert (fleet["MinSize"], fleet["MaxSize"], fleet["DesiredCapacity"]) == (2, 5, 2), fleet
    assert len(fleet["Instances"]) == 2, fleet
    assert (fleet["HealthCheckType"], fleet["HealthCheckGracePeriod"]) == ("ELB", 60), fleet
    assert fleet["DefaultInstanceWarmup"] == 60, fleet
    assert fleet["InstanceMaintenancePolicy"] == {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 150}, fleet
    assert fleet["LaunchTemplate"]["LaunchTemplateId"] == outputs["launch_template_id"], fleet
    assert fleet["LaunchTemplate"]["Version"] == str(outputs["launch_template_version"]) == "1", fleet
    assert fleet["TargetGroupARNs"] == [outputs["target_group_arn"]], fleet
    assert len(fleet["AvailabilityZones"]) == 2, fleet
    assert {"Application": "tideline", "Stack": NAME}.items() <= {t["Key"]: t["Value"] for t in fleet["Tags"]}.items()
    instances = aws.ec2.describe_instances(InstanceIds=[i["InstanceId"] for i in fleet["Instances"]])["Reservations"]
    for instance in [instance for reservation in instances for instance in reservation["Instances"]]:
        tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
        assert tags["Build"] == build["build_version"], tags
    (policy,) = aws.autoscaling.describe_policies(AutoScalingGroupName=NAME)["ScalingPolicies"]
    tracking = policy["TargetTrackingConfiguration"]
    assert tracking["TargetValue"] == 50, policy
    assert tracking["PredefinedMetricSpecification"]["PredefinedMetricType"] == "ASGAverageCPUUtilization", policy

    (targets,) = aws.elbv2.describe_target_groups(Names=[NAME])["TargetGroups"]
    checked = {key: targets[key] for key in targets if key.startswith(("HealthCheck", "Healthy", "Unhealthy"))}
    assert (targets["Port"], checked["HealthCheckPath"], checked["HealthCheckPort"]) == (8080, "/health", "traffic-port")
    assert (checked["HealthCheckIntervalSeconds"], checked["HealthyThresholdCount"]) == (10, 2), checked
    assert checked["UnhealthyThresholdCount"] == 2, checked
    set_ = attributes(aws.elbv2.describe_target_group_attributes(TargetGroupArn=targets["TargetGroupArn"]))
    assert set_["deregistration_delay.timeout_seconds"] == "30", set_
    set_ = attributes(aws.elbv2.describe_load_balancer_attributes(LoadBalancerArn=balancer(aws)["LoadBalancerArn"]))
    assert set_["idle_timeout.timeout_seconds"] == "60", set_
    assert set_["routing.http.drop_invalid_header_fields.enabled"] == "true", set_
    assert list(listeners(aws)) == [80] and listeners(aws)[80]["DefaultActions"][0]["Type"] == "forward"
    metrics_are_hidden(aws, listeners(aws)[80])
    assert outputs["url"] == "http://" + balancer(aws)["DNSName"], outputs

    assert ingress(aws, "tideline-balancer") == {80: ["0.0.0.0/0"]}
    assert ingress(aws, "tideline-instances") == {8080: ["tideline-balancer"]}
    assert set(policies(aws)) == {"table", "telemetry"}, policies(aws)
    for policy in policies(aws).values():
        for statement in policy["Statement"]:
            assert "*" not in json.dumps(statement["Action"]), statement
    assert policies(aws)["table"]["Statement"][0]["Resource"] == table["TableArn"], policies(aws)

    alarms = aws.cloudwatch.describe_alarms()["MetricAlarms"]
    names = {alarm["AlarmName"] for alarm in alarms if alarm["AlarmName"].startswith("tideline-")}
    assert names == {"tideline-5xx", "tideline-unhealthy", "tideline-latency", "tideline-throttles"}, names
    assert set(outputs["rollout_alarm_names"]) == {"tideline-5xx", "tideline-unhealthy"}, outputs
    groups = {g["logGroupName"]: g.get("retentionInDays") for g in aws.logs.describe_log_groups()["logGroups"]}
    assert groups == {"/tideline/service": 30, "/tideline/system": 30}, groups
    dashboard = json.loads(aws.cloudwatch.get_dashboard(DashboardName=NAME)["DashboardBody"])
    assert len(dashboard["widgets"]) == 9, dashboard
    (endpoint,) = aws.ec2.describe_vpc_endpoints()["VpcEndpoints"]
    assert endpoint["ServiceName"].endswith(".dynamodb") and endpoint["VpcEndpointType"] == "Gateway", endpoint
    assert len(endpoint["RouteTableIds"]) == 1, endpoint


def change_as_a_rollout_does(aws):
    tag = {"ResourceId": NAME, "ResourceType": "auto-scaling-group", "PropagateAtLaunch": False}
    aws.autoscaling.create_or_update_tags(Tags=[tag | {"Key": "tideline:rollout:from", "Value": "1"}])
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=NAME, DesiredCapacity=3)


def another_build(aws, outputs: dict, build: dict):
    assert outputs["launch_template_version"] == 2, outputs
    assert template(aws, "2")["ImageId"] == build["image_id"], template(aws, "2")
    fleet = group(aws)
    assert fleet["LaunchTemplate"]["Version"] == "1", fleet
    assert fleet["DesiredCapacity"] == 3, fleet
    assert "tideline:rollout:from" in {tag["Key"] for tag in fleet["Tags"]}, fleet


def roll_out(aws, outputs: dict):
    """What a successful refresh leaves: a group of the new version."""
    version = {"LaunchTemplateId": outputs["launch_template_id"], "Version": str(outputs["launch_template_version"])}
    aws.autoscaling.update_auto_scaling_group(AutoScalingGroupName=NAME, LaunchTemplate=version)


def front(aws, outputs: dict):
    found = listeners(aws)
    assert set(found) == {80, 443}, found
    (action,) = found[80]["DefaultActions"]
    assert (action["Type"], action["RedirectConfig"]["Protocol"]) == ("redirect", "HTTPS"), action
    assert found[443]["SslPolicy"].startswith("ELBSecurityPolicy-TLS13"), found[443]
    assert found[443]["DefaultActions"][0]["TargetGroupArn"] == outputs["target_group_arn"], found[443]
    metrics_are_hidden(aws, found[443])
    assert outputs["url"] == "https://data.example.com", outputs
    assert ingress(aws, "tideline-balancer") == {80: ["0.0.0.0/0"], 443: ["0.0.0.0/0"]}

    (acl,) = aws.wafv2.list_web_acls(Scope="REGIONAL")["WebACLs"]
    rules = aws.wafv2.get_web_acl(Name=NAME, Scope="REGIONAL", Id=acl["Id"])["WebACL"]["Rules"]
    assert len(rules) == 4, rules
    guarded = aws.wafv2.get_web_acl_for_resource(ResourceArn=balancer(aws)["LoadBalancerArn"])["WebACL"]
    assert guarded["ARN"] == acl["ARN"], guarded

    (bucket,) = aws.s3.list_buckets()["Buckets"]
    set_ = attributes(aws.elbv2.describe_load_balancer_attributes(LoadBalancerArn=balancer(aws)["LoadBalancerArn"]))
    assert (set_["access_logs.s3.enabled"], set_["access_logs.s3.bucket"]) == ("true", bucket["Name"]), set_
    closed = aws.s3.get_public_access_block(Bucket=bucket["Name"])["PublicAccessBlockConfiguration"]
    assert all(closed.values()) and len(closed) == 4, closed

    (subscription,) = aws.sns.list_subscriptions()["Subscriptions"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "on-call@example.com"), subscription
    for alarm in aws.cloudwatch.describe_alarms(AlarmNamePrefix="tideline-")["MetricAlarms"]:
        if not alarm["AlarmName"].startswith("tideline-TargetTracking"):
            assert alarm["AlarmActions"] == [subscription["TopicArn"]], alarm


def capacity(aws, outputs: dict):
    nothing_in_front(aws)
    found = aws.autoscaling.describe_policies(AutoScalingGroupName=NAME)["ScalingPolicies"]
    tracked = {p["TargetTrackingConfiguration"]["PredefinedMetricSpecification"]["PredefinedMetricType"]: p for p in found}
    assert set(tracked) == {"ASGAverageCPUUtilization", "ALBRequestCountPerTarget"}, found
    metric = tracked["ALBRequestCountPerTarget"]["TargetTrackingConfiguration"]["PredefinedMetricSpecification"]
    assert outputs["target_group_arn"].endswith(metric["ResourceLabel"].split("/", 3)[3]), metric
    (action,) = aws.autoscaling.describe_scheduled_actions(AutoScalingGroupName=NAME)["ScheduledUpdateGroupActions"]
    assert (action["Recurrence"], action["DesiredCapacity"]) == ("0 7 * * MON-FRI", 4), action
    pool = aws.autoscaling.describe_warm_pool(AutoScalingGroupName=NAME)["WarmPoolConfiguration"]
    assert (pool["MinSize"], pool["PoolState"]) == (1, "Stopped"), pool
    assert ingress(aws, "tideline-instances") == {8080: ["tideline-balancer"], 22: ["203.0.113.7/32"]}
    assert template(aws, "$Latest")["KeyName"] == "operator"
    assert set(policies(aws)) == {"table", "telemetry", "session-manager"}, policies(aws)


def private(aws, outputs: dict):
    fleet = group(aws)
    subnets = aws.ec2.describe_subnets(SubnetIds=fleet["VPCZoneIdentifier"].split(","))["Subnets"]
    assert sorted(subnet["CidrBlock"] for subnet in subnets) == ["10.42.128.0/20", "10.42.144.0/20"], subnets
    latest = template(aws, "$Latest")
    assert latest["NetworkInterfaces"][0]["AssociatePublicIpAddress"] is False, latest
    (gateway,) = [g for g in aws.ec2.describe_nat_gateways()["NatGateways"] if g["State"] == "available"]
    tables = aws.ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [subnets[0]["SubnetId"]]}])
    routes = {r.get("DestinationCidrBlock"): r.get("NatGatewayId") for r in tables["RouteTables"][0]["Routes"]}
    assert routes["0.0.0.0/0"] == gateway["NatGatewayId"], routes
    (endpoint,) = aws.ec2.describe_vpc_endpoints()["VpcEndpoints"]
    assert len(endpoint["RouteTableIds"]) == 2, endpoint

    mixed = fleet["MixedInstancesPolicy"]
    assert mixed["InstancesDistribution"]["OnDemandBaseCapacity"] == 1, mixed
    types = [override["InstanceType"] for override in mixed["LaunchTemplate"]["Overrides"]]
    assert types == ["t3.small", "t3a.small"], mixed
    assert mixed["LaunchTemplate"]["LaunchTemplateSpecification"]["Version"].isdigit(), mixed


def nothing_in_front(aws):
    assert list(listeners(aws)) == [80] and listeners(aws)[80]["DefaultActions"][0]["Type"] == "forward"
    assert aws.wafv2.list_web_acls(Scope="REGIONAL")["WebACLs"] == []
    assert aws.s3.list_buckets()["Buckets"] == []
    assert aws.sns.list_topics()["Topics"] == []


def nothing_optional(aws):
    nothing_in_front(aws)
    assert ingress(aws, "tideline-instances") == {8080: ["tideline-balancer"]}
    assert [g for g in aws.ec2.describe_nat_gateways()["NatGateways"] if g["State"] == "available"] == []
    assert set(policies(aws)) == {"table", "telemetry"}, policies(aws)
    assert "MixedInstancesPolicy" not in group(aws)


def inventory(aws) -> set:
    """Everything there is that this configuration can make, as kind and name."""
    ec2, found = aws.ec2, set()

    def add(kind, items, key):
        found.update((kind, item if key is None else item[key]) for item in items)

    add("vpc", ec2.describe_vpcs()["Vpcs"], "VpcId")
    add("subnet", ec2.describe_subnets()["Subnets"], "SubnetId")
    add("route table", ec2.describe_route_tables()["RouteTables"], "RouteTableId")
    add("internet gateway", ec2.describe_internet_gateways()["InternetGateways"], "InternetGatewayId")
    add("security group", ec2.describe_security_groups()["SecurityGroups"], "GroupId")
    add("address", ec2.describe_addresses()["Addresses"], "AllocationId")
    add("NAT gateway", [g for g in ec2.describe_nat_gateways()["NatGateways"] if g["State"] != "deleted"], "NatGatewayId")
    add("endpoint", [e for e in ec2.describe_vpc_endpoints()["VpcEndpoints"] if e["State"] != "deleted"], "VpcEndpointId")
    add("launch template", ec2.describe_launch_templates()["LaunchTemplates"], "LaunchTemplateId")
    for reservation in ec2.describe_instances()["Reservations"]:
        add("instance", [i for i in reservation["Instances"] if i["State"]["Name"] != "terminated"], "InstanceId")
    add("group", aws.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"], "AutoScalingGroupName")
    add("load balancer", aws.elbv2.describe_load_balancers()["LoadBalancers"], "LoadBalancerArn")
    add("target group", aws.elbv2.describe_target_groups()["TargetGroups"], "TargetGroupArn")
    add("table", aws.dynamodb.list_tables()["TableNames"], None)
    add("role", aws.iam.list_roles()["Roles"], "RoleName")
    add("instance profile", aws.iam.list_instance_profiles()["InstanceProfiles"], "InstanceProfileName")
    add("log group", aws.logs.describe_log_groups()["logGroups"], "logGroupName")
    add("alarm", aws.cloudwatch.describe_alarms()["MetricAlarms"], "AlarmName")
    add("dashboard", aws.cloudwatch.list_dashboards()["DashboardEntries"], "DashboardName")
    add("topic", aws.sns.list_topics()["Topics"], "TopicArn")
    add("bucket", aws.s3.list_buckets()["Buckets"], "Name")
    add("certificate", aws.acm.list_certificates()["CertificateSummaryList"], "CertificateArn")
    add("web ACL", aws.wafv2.list_web_acls(Scope="REGIONAL")["WebACLs"], "Id")
    add("hosted zone", aws.route53.list_hosted_zones()["HostedZones"], "Id")
    return found
