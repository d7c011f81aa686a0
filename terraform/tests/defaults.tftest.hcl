# What a deployment is when nothing but the necessary is said.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  region             = "eu-west-1"
  image_id           = "ami-0123456789abcdef0"
  build_version      = "0.1.0-1f2e3d4"
  write_token_sha256 = ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]
}

run "defaults" {
  command = apply

  assert {
    condition = [for subnet in aws_subnet.public : [subnet.availability_zone, subnet.cidr_block]] == [
      ["eu-west-1a", "10.42.0.0/20"],
      ["eu-west-1b", "10.42.16.0/20"],
    ]
    error_message = "Two public subnets, in the first two zones that have the instance type."
  }

  assert {
    condition     = aws_vpc_endpoint.dynamodb.vpc_endpoint_type == "Gateway"
    error_message = "DynamoDB must be reached through a gateway endpoint."
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.instances_ssh) == 0
    error_message = "SSH must be closed."
  }

  assert {
    condition = alltrue([
      aws_vpc_security_group_ingress_rule.instances_from_balancer.referenced_security_group_id == aws_security_group.balancer.id,
      aws_vpc_security_group_ingress_rule.instances_from_balancer.cidr_ipv4 == null,
    ])
    error_message = "The instances' port must be open to the balancer alone."
  }

  assert {
    condition = alltrue([
      aws_lb_listener.http.port == 80,
      aws_lb_listener.http.default_action[0].type == "forward",
      aws_lb_listener_rule.no_metrics.listener_arn == aws_lb_listener.http.arn,
      one(aws_lb_listener_rule.no_metrics.action).fixed_response[0].status_code == "404",
    ])
    error_message = "Port 80 must forward, but for the metrics."
  }

  assert {
    condition = alltrue([
      aws_lb.this.drop_invalid_header_fields,
      aws_lb.this.idle_timeout == 60,
      length(aws_lb.this.access_logs) == 0,
    ])
    error_message = "The balancer drops invalid headers, keeps idle connections for 60 s, and has no access log."
  }

  assert {
    condition = alltrue([
      aws_launch_template.this.metadata_options[0].http_tokens == "required",
      aws_launch_template.this.metadata_options[0].http_put_response_hop_limit == 1,
      aws_launch_template.this.metadata_options[0].instance_metadata_tags == "enabled",
      aws_launch_template.this.monitoring[0].enabled,
      aws_launch_template.this.block_device_mappings[0].device_name == "/dev/xvda",
      aws_launch_template.this.block_device_mappings[0].ebs[0].encrypted == "true",
      aws_launch_template.this.block_device_mappings[0].ebs[0].volume_type == "gp3",
      aws_launch_template.this.instance_type == "t3.small",
      aws_launch_template.this.network_interfaces[0].associate_public_ip_address == "true",
      toset(aws_launch_template.this.tag_specifications[*].resource_type) == toset(["instance", "network-interface", "volume"]),
    ])
    error_message = "The launch template is not what it should be."
  }

  assert {
    condition = yamldecode(base64decode(aws_launch_template.this.user_data)) == {
      write_files = [{
        path        = "/etc/tideline/tideline.env"
        owner       = "root:root"
        permissions = "0600"
        content     = <<-EOT
          AWS_REGION=eu-west-1
          TIDELINE_DRAIN_DELAY=5s
          TIDELINE_TABLE=tideline
          TIDELINE_WRITE_TOKEN_SHA256=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
        EOT
      }]
    }
    error_message = "User data must write the settings and nothing else."
  }

  assert {
    condition     = startswith(base64decode(aws_launch_template.this.user_data), "#cloud-config\n")
    error_message = "Without its first line cloud-init does not know what this is."
  }

  assert {
    condition = alltrue([
      aws_autoscaling_group.this.min_size == 2,
      aws_autoscaling_group.this.max_size == 5,
      aws_autoscaling_group.this.health_check_type == "ELB",
      aws_autoscaling_group.this.health_check_grace_period == 60,
      aws_autoscaling_group.this.default_instance_warmup == 60,
      aws_autoscaling_group.this.instance_maintenance_policy[0].min_healthy_percentage == 100,
      aws_autoscaling_group.this.target_group_arns == toset([aws_lb_target_group.this.arn]),
      length(aws_autoscaling_group.this.instance_refresh) == 0,
      length(aws_autoscaling_group.this.mixed_instances_policy) == 0,
      length(aws_autoscaling_group.this.warm_pool) == 0,
    ])
    error_message = "The group is not what it should be."
  }

  assert {
    # Two instances may be three: otherwise one goes before its successor is there.
    condition     = floor(aws_autoscaling_group.this.min_size * aws_autoscaling_group.this.instance_maintenance_policy[0].max_healthy_percentage / 100) > aws_autoscaling_group.this.min_size
    error_message = "A replacement must be launched before an instance is terminated."
  }

  assert {
    condition     = can(tonumber(aws_autoscaling_group.this.launch_template[0].version))
    error_message = "AWS rolls no refresh back to $Latest or $Default: the version must be a number."
  }

  assert {
    condition = alltrue([
      aws_autoscaling_policy.cpu.target_tracking_configuration[0].target_value == 50,
      length(aws_autoscaling_policy.requests) == 0,
      length(aws_autoscaling_schedule.this) == 0,
    ])
    error_message = "Scaling is by the CPU alone, at 50 %."
  }

  assert {
    condition = alltrue([
      aws_dynamodb_table.documents.billing_mode == "PAY_PER_REQUEST",
      aws_dynamodb_table.documents.point_in_time_recovery[0].enabled,
      aws_dynamodb_table.documents.server_side_encryption[0].enabled,
      aws_dynamodb_table.documents.deletion_protection_enabled,
    ])
    error_message = "The table is on demand, encrypted, and can be restored."
  }

  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.instances : group.retention_in_days == 30])
    error_message = "Logs are kept for 30 days."
  }

  assert {
    condition     = length(aws_sns_topic.alarms) == 0 && length(aws_cloudwatch_metric_alarm.errors.alarm_actions) == 0
    error_message = "Without an address, alarms tell nobody."
  }

  assert {
    condition = sum([for optional in [
      aws_lb_listener.https, aws_wafv2_web_acl.this, aws_nat_gateway.this, aws_s3_bucket.access_logs,
      aws_elasticache_replication_group.this, aws_iam_role_policy.session_manager, aws_iam_role_policy.cache,
    ] : length(optional)]) == 0
    error_message = "What is optional must be off."
  }

  assert {
    condition = output.url == "http://mock-1.eu-west-1.elb.amazonaws.com" && alltrue([
      output.autoscaling_group_name == "tideline",
      output.launch_template_id == "lt-0123456789abcdef0",
      output.launch_template_version == 7,
      output.target_group_arn == aws_lb_target_group.this.arn,
      output.table_name == "tideline",
      output.log_group_name == "/tideline/service",
      output.rollout_alarm_names == ["tideline-5xx", "tideline-unhealthy"],
    ])
    error_message = "The outputs are not what the next step of a deployment needs."
  }
}
