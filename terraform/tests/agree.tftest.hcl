# What this configuration and the service take for granted of each other. The service's side is read from its sources: if
# one of these numbers moves, or is no longer found where it was, a run here fails.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  region             = "eu-west-1"
  image_id           = "ami-0123456789abcdef0"
  build_version      = "0.1.0-1f2e3d4"
  write_token_sha256 = ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]
}

# In seconds.
run "the_sources" {
  module {
    source = "./tests/sources"
  }
}

run "agree" {
  assert {
    condition     = aws_lb.this.idle_timeout < run.the_sources.seconds.idle
    error_message = "The balancer must close idle connections before the service does (serve.rs, IDLE), or it sends requests into closed ones."
  }

  assert {
    condition     = tonumber(aws_lb_target_group.this.deregistration_delay) >= run.the_sources.seconds.request + run.the_sources.seconds.body
    error_message = "A deregistered instance must be let finish the longest request: TIDELINE_BODY_TIMEOUT and TIDELINE_REQUEST_TIMEOUT."
  }

  assert {
    condition     = run.the_sources.unit.watchdog < aws_lb_target_group.this.health_check[0].interval * aws_lb_target_group.this.health_check[0].unhealthy_threshold
    error_message = "systemd must restart a service that hangs (WatchdogSec) before its instance counts as unhealthy and is replaced."
  }

  assert {
    condition = run.the_sources.unit.stop > sum([
      tonumber(trimsuffix(local.environment.TIDELINE_DRAIN_DELAY, "s")),
      run.the_sources.unit.drain,
      run.the_sources.seconds.linger,
      run.the_sources.seconds.invalidations,
      run.the_sources.seconds.flush,
    ])
    error_message = "systemd must not kill a service (TimeoutStopSec) that is still draining, for as long as it may."
  }

  assert {
    condition     = run.the_sources.unit.stop < 60
    error_message = "An instance that is told to stop should be off within a minute, before EC2 pulls the plug."
  }

  assert {
    condition = toset([
      run.the_sources.port,
      run.the_sources.unit.port,
      aws_lb_target_group.this.port,
      aws_vpc_security_group_ingress_rule.instances_from_balancer.from_port,
      aws_vpc_security_group_ingress_rule.instances_from_balancer.to_port,
      aws_vpc_security_group_egress_rule.balancer_to_instances.from_port,
      aws_vpc_security_group_egress_rule.balancer_to_instances.to_port,
    ]) == toset([local.port]) && aws_lb_target_group.this.health_check[0].port == "traffic-port"
    error_message = "There is one port: in the service's default, in its socket unit, in the target group and in both security groups."
  }

  assert {
    condition     = yamldecode(local.user_data).write_files[*].path == [run.the_sources.unit.environment]
    error_message = "User data must write the file that the unit reads (EnvironmentFile)."
  }

  assert {
    condition     = contains(run.the_sources.routes, "GET ${aws_lb_target_group.this.health_check[0].path}")
    error_message = "The health check must ask for something that there is (routes.rs)."
  }

  assert {
    condition     = contains(run.the_sources.routes, "GET /metrics") && contains(one(one(aws_lb_listener_rule.no_metrics.condition).path_pattern).values, "/metrics")
    error_message = "What the balancer hides must be where the metrics are (routes.rs)."
  }

  assert {
    condition     = toset([for action in jsondecode(aws_iam_role_policy.table.policy).Statement[0].Action : trimprefix(action, "dynamodb:")]) == run.the_sources.operations
    error_message = "The role must allow the calls that the service makes (store/*.rs), and no others."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.table.policy).Statement[0].Resource == aws_dynamodb_table.documents.arn
    error_message = "The role must allow them on the table alone."
  }

  assert {
    condition = {
      (aws_dynamodb_table.documents.hash_key)              = "HASH"
      (aws_dynamodb_table.documents.range_key)             = "RANGE"
      (aws_dynamodb_table.documents.ttl[0].attribute_name) = "TTL"
    } == run.the_sources.table
    error_message = "The table must be the one that the service would make for itself (store/connect.rs)."
  }
}

run "the_image" {
  assert {
    condition     = toset([for group in aws_cloudwatch_log_group.instances : group.name]) == run.the_sources.image.log_groups
    error_message = "The agent in the image must write to the log groups that there are (packer/files/cloudwatch-agent.json)."
  }

  assert {
    condition     = local.metrics_namespace == run.the_sources.image.namespace
    error_message = "The role must allow the namespace that the agent writes its metrics to."
  }

  assert {
    condition     = aws_launch_template.this.block_device_mappings[0].device_name == run.the_sources.image.device && var.root_volume_size >= run.the_sources.image.volume_size
    error_message = "The root volume must be the image's own, and not smaller."
  }
}

run "every_setting_is_known" {
  variables {
    cache_enabled = true
  }

  assert {
    condition = length(setsubtract(
      [for name in keys(local.environment) : name if startswith(name, "TIDELINE_")],
      run.the_sources.settings,
    )) == 0
    error_message = "The service must know each of its settings in user data (args.rs)."
  }
}
