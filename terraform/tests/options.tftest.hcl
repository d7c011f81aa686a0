# What can be added, one at a time, and what it must not change.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  region             = "eu-west-1"
  image_id           = "ami-0123456789abcdef0"
  build_version      = "0.1.0-1f2e3d4"
  write_token_sha256 = ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]
}

run "https" {
  variables {
    domain_name        = "data.example.com"
    hosted_zone_id     = "Z0123456789ABCDEFGHIJ"
    allowed_http_cidrs = ["203.0.113.0/24"]
  }

  assert {
    condition = alltrue([
      aws_lb_listener.http.default_action[0].type == "redirect",
      aws_lb_listener.http.default_action[0].target_group_arn == null,
      aws_lb_listener.http.default_action[0].redirect[0].protocol == "HTTPS",
    ])
    error_message = "Port 80 must redirect, and only that."
  }

  assert {
    condition = alltrue([
      aws_lb_listener.https[0].port == 443,
      aws_lb_listener.https[0].default_action[0].target_group_arn == aws_lb_target_group.this.arn,
      startswith(aws_lb_listener.https[0].ssl_policy, "ELBSecurityPolicy-TLS13-"),
      aws_lb_listener_rule.no_metrics.listener_arn == aws_lb_listener.https[0].arn,
    ])
    error_message = "Port 443 must forward with TLS 1.3, but for the metrics."
  }

  assert {
    condition     = [for rule in aws_vpc_security_group_ingress_rule.balancer_https : rule.cidr_ipv4] == ["203.0.113.0/24"]
    error_message = "Port 443 must be open to whom port 80 is open to."
  }

  assert {
    condition = alltrue([
      aws_route53_record.balancer[0].name == "data.example.com",
      aws_route53_record.balancer[0].type == "A",
      aws_route53_record.certificate[0].name == "_proof.data.example.com.",
    ])
    error_message = "The zone needs a record of the name and one of the certificate's proof."
  }

  assert {
    condition     = output.url == "https://data.example.com"
    error_message = "The URL must be the domain's."
  }
}

run "waf" {
  variables {
    waf_enabled    = true
    waf_rate_limit = 500
  }

  assert {
    condition     = aws_wafv2_web_acl_association.this[0].resource_arn == aws_lb.this.arn
    error_message = "WAF must stand before the load balancer."
  }

  assert {
    condition = { for rule in aws_wafv2_web_acl.this[0].rule : rule.name => rule.priority } == {
      rate-limit                            = 1
      AWSManagedRulesAmazonIpReputationList = 10
      AWSManagedRulesCommonRuleSet          = 20
      AWSManagedRulesKnownBadInputsRuleSet  = 30
    }
    error_message = "The rate limit comes first, then the managed rules."
  }

  assert {
    condition     = one([for rule in aws_wafv2_web_acl.this[0].rule : rule.statement[0].rate_based_statement[0].limit if rule.name == "rate-limit"]) == 500
    error_message = "The rate limit is waf_rate_limit."
  }

  assert {
    condition = contains(
      flatten([for rule in aws_wafv2_web_acl.this[0].rule : rule.statement[0].managed_rule_group_statement[*].rule_action_override[*].name]),
      "SizeRestrictions_BODY",
    )
    error_message = "A document above 8 KiB must not be refused."
  }

  assert {
    condition = alltrue([
      startswith(aws_cloudwatch_log_group.waf[0].name, "aws-waf-logs-"),
      aws_wafv2_web_acl_logging_configuration.this[0].redacted_fields[0].single_header[0].name == "authorization",
    ])
    error_message = "The log must have a name that WAF accepts, and not the write token."
  }
}

run "private_subnets" {
  variables {
    private_subnets_enabled = true
  }

  assert {
    condition = [for subnet in aws_subnet.private : [subnet.availability_zone, subnet.cidr_block]] == [
      ["eu-west-1a", "10.42.128.0/20"],
      ["eu-west-1b", "10.42.144.0/20"],
    ]
    error_message = "The private subnets are in the same zones, in the other half of the addresses."
  }

  assert {
    condition = alltrue([
      aws_autoscaling_group.this.vpc_zone_identifier == toset([for subnet in aws_subnet.private : subnet.id]),
      aws_lb.this.subnets == toset([for subnet in aws_subnet.public : subnet.id]),
      aws_launch_template.this.network_interfaces[0].associate_public_ip_address == "false",
    ])
    error_message = "The instances move, without public addresses; the balancer stays."
  }

  assert {
    condition = alltrue([
      contains(aws_vpc_endpoint.dynamodb.route_table_ids, aws_route_table.private[0].id),
      aws_route.nat[0].nat_gateway_id == aws_nat_gateway.this[0].id,
      contains([for subnet in aws_subnet.public : subnet.id], aws_nat_gateway.this[0].subnet_id),
    ])
    error_message = "From the private subnets, DynamoDB is reached through the endpoint and the rest through NAT."
  }
}

run "access_logs" {
  variables {
    access_logs_enabled        = true
    access_logs_retention_days = 7
  }

  assert {
    condition     = aws_lb.this.access_logs[0].enabled && aws_lb.this.access_logs[0].bucket == aws_s3_bucket.access_logs[0].id
    error_message = "The balancer must write to the bucket."
  }

  assert {
    condition = jsondecode(aws_s3_bucket_policy.access_logs[0].policy).Statement == [{
      Effect    = "Allow"
      Principal = { Service = "logdelivery.elasticloadbalancing.amazonaws.com" }
      Action    = "s3:PutObject"
      Resource  = "arn:aws:s3:::mock/AWSLogs/123456789012/*"
    }]
    error_message = "The balancer and nobody else may write there."
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.access_logs[0].block_public_acls,
      aws_s3_bucket_public_access_block.access_logs[0].block_public_policy,
      aws_s3_bucket_public_access_block.access_logs[0].ignore_public_acls,
      aws_s3_bucket_public_access_block.access_logs[0].restrict_public_buckets,
      aws_s3_bucket_lifecycle_configuration.access_logs[0].rule[0].expiration[0].days == 7,
    ])
    error_message = "The bucket is closed to the public and forgets."
  }
}

run "alarm_email" {
  variables {
    alarm_email = "on-call@example.com"
  }

  assert {
    condition     = aws_sns_topic_subscription.alarms[0].endpoint == "on-call@example.com"
    error_message = "The address must be subscribed."
  }

  assert {
    condition = alltrue([
      for alarm in [
        aws_cloudwatch_metric_alarm.errors, aws_cloudwatch_metric_alarm.unhealthy,
        aws_cloudwatch_metric_alarm.latency, aws_cloudwatch_metric_alarm.throttles,
      ] : alarm.alarm_actions == toset([aws_sns_topic.alarms[0].arn])
    ])
    error_message = "Every alarm must tell the topic."
  }
}

run "cache" {
  variables {
    cache_enabled = true
  }

  assert {
    condition = alltrue([
      aws_elasticache_replication_group.this[0].engine == "valkey",
      aws_elasticache_replication_group.this[0].transit_encryption_enabled,
      aws_elasticache_replication_group.this[0].transit_encryption_mode == "required",
      aws_elasticache_replication_group.this[0].multi_az_enabled,
      aws_elasticache_user.instances[0].authentication_mode[0].type == "iam",
      aws_elasticache_user.instances[0].user_id == aws_elasticache_user.instances[0].user_name,
    ])
    error_message = "The cache is Valkey in two zones, with TLS, and users sign in by IAM."
  }

  assert {
    condition     = strcontains(base64decode(aws_launch_template.this.user_data), "TIDELINE_CACHE_URL=rediss://tideline-cache@master.mock.abc123.euw1.cache.amazonaws.com:6379\n")
    error_message = "The instances must know the cache, and no password."
  }

  assert {
    condition     = strcontains(base64decode(aws_launch_template.this.user_data), "TIDELINE_CACHE_IAM=${aws_elasticache_replication_group.this[0].replication_group_id}\n")
    error_message = "The instances must know for which cache to sign."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.cache[0].policy).Statement == [{
      Effect   = "Allow"
      Action   = "elasticache:Connect"
      Resource = [aws_elasticache_replication_group.this[0].arn, aws_elasticache_user.instances[0].arn]
    }]
    error_message = "The instances may sign in to this cache as this user."
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.cache_from_instances[0].referenced_security_group_id == aws_security_group.instances.id
    error_message = "The cache must be open to the instances alone."
  }
}

run "session_manager" {
  variables {
    session_manager_enabled = true
  }

  assert {
    condition     = alltrue([for action in jsondecode(aws_iam_role_policy.session_manager[0].policy).Statement[0].Action : can(regex("^ssm(messages)?:[A-Za-z]+$", action))])
    error_message = "Session Manager's actions must be named one by one."
  }
}

run "ssh" {
  variables {
    allowed_ssh_cidrs = ["203.0.113.7/32"]
    ssh_key_name      = "operator"
  }

  assert {
    condition = alltrue([
      [for rule in aws_vpc_security_group_ingress_rule.instances_ssh : [rule.cidr_ipv4, rule.from_port, rule.to_port]] == [["203.0.113.7/32", 22, 22]],
      aws_launch_template.this.key_name == "operator",
    ])
    error_message = "SSH must be open to this network alone, with this key."
  }
}

run "warm_pool" {
  variables {
    warm_pool = { min_size = 2 }
  }

  assert {
    condition     = aws_autoscaling_group.this.warm_pool[0].min_size == 2 && aws_autoscaling_group.this.warm_pool[0].pool_state == "Stopped"
    error_message = "Two instances must be kept ready, stopped."
  }
}

run "spot" {
  variables {
    spot = { instance_types = ["t3.small", "t3a.small"] }
  }

  assert {
    condition = alltrue([
      length(aws_autoscaling_group.this.launch_template) == 0,
      aws_autoscaling_group.this.capacity_rebalance,
      aws_autoscaling_group.this.mixed_instances_policy[0].instances_distribution[0].on_demand_base_capacity == 1,
      aws_autoscaling_group.this.mixed_instances_policy[0].instances_distribution[0].on_demand_percentage_above_base_capacity == 0,
      aws_autoscaling_group.this.mixed_instances_policy[0].launch_template[0].override[*].instance_type == tolist(["t3.small", "t3a.small"]),
      can(tonumber(aws_autoscaling_group.this.mixed_instances_policy[0].launch_template[0].launch_template_specification[0].version)),
    ])
    error_message = "One instance on demand, the others from the spot market, of either type, of a template version by number."
  }
}

run "requests" {
  variables {
    requests_per_target = 3000
  }

  assert {
    condition = alltrue([
      aws_autoscaling_policy.requests[0].target_tracking_configuration[0].target_value == 3000,
      aws_autoscaling_policy.requests[0].target_tracking_configuration[0].predefined_metric_specification[0].resource_label == "app/mock/0123456789abcdef/targetgroup/mock/0123456789abcdef",
      aws_autoscaling_policy.cpu.target_tracking_configuration[0].target_value == 50,
    ])
    error_message = "Scaling is by requests beside the CPU."
  }
}

run "schedules" {
  variables {
    schedules = {
      morning = { recurrence = "0 7 * * MON-FRI", time_zone = "Europe/Paris", min_size = 3 }
    }
  }

  assert {
    condition = alltrue([
      aws_autoscaling_schedule.this["morning"].time_zone == "Europe/Paris",
      aws_autoscaling_schedule.this["morning"].min_size == 3,
      aws_autoscaling_schedule.this["morning"].max_size == -1,
    ])
    error_message = "What a schedule does not name it leaves as it is."
  }
}

run "arm64" {
  variables {
    architecture = "arm64"
  }

  assert {
    condition     = aws_launch_template.this.instance_type == "t4g.small"
    error_message = "An image for arm64 needs a Graviton instance."
  }
}

run "names_and_tags" {
  variables {
    name             = "staging"
    log_group_prefix = "/staging"
    tags             = { Team = "data" }
  }

  assert {
    condition = alltrue([
      aws_autoscaling_group.this.name == "staging",
      aws_dynamodb_table.documents.name == "staging",
      output.log_group_name == "/staging/service",
      contains([for tag in aws_autoscaling_group.this.tag : "${tag.key}=${tag.value}"], "Team=data"),
      contains([for tag in aws_autoscaling_group.this.tag : "${tag.key}=${tag.value}"], "Stack=staging"),
      alltrue([for spec in aws_launch_template.this.tag_specifications : spec.tags.Team == "data" && spec.tags.Build == "0.1.0-1f2e3d4"]),
    ])
    error_message = "Two deployments must be told apart by names and tags."
  }
}
