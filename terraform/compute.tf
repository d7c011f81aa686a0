# The launch template and the group. Terraform makes a new version of the template whenever something in it changes, and
# stops there: which version the group runs is the rollout's decision, made by an instance refresh. Terraform's own
# instance_refresh block changes the group before it starts the refresh, so that a failed one "rolls back" to the very
# version that failed.

resource "aws_launch_template" "this" {
  name        = var.name
  description = var.build_version

  image_id      = var.image_id
  instance_type = local.instance_type
  key_name      = var.ssh_key_name
  user_data     = base64encode(local.user_data)

  # Halting because it could not start properly, an instance makes room for another.
  instance_initiated_shutdown_behavior = "terminate"

  iam_instance_profile {
    arn = aws_iam_instance_profile.instance.arn
  }

  network_interfaces {
    device_index = 0
    # How an instance in a public subnet reaches AWS; what reaches it is the security group's business.
    associate_public_ip_address = !var.private_subnets_enabled
    security_groups             = [aws_security_group.instances.id]
    delete_on_termination       = true
  }

  block_device_mappings {
    # The image's root device. Under any other name this would be a second disk.
    device_name = "/dev/xvda"

    ebs {
      volume_type           = "gp3"
      volume_size           = var.root_volume_size
      encrypted             = true
      delete_on_termination = true
    }
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "enabled"
  }

  # Scaling needs three datapoints out and fifteen in: minutes with this, a quarter and five quarters of an hour without.
  monitoring {
    enabled = true
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "volume", "network-interface"])

    content {
      resource_type = tag_specifications.value
      tags          = merge(local.tags, { Name = var.name, Build = var.build_version })
    }
  }
}

locals {
  user_data = "#cloud-config\n${yamlencode({
    write_files = [{
      path        = "/etc/tideline/tideline.env"
      owner       = "root:root"
      permissions = "0600"
      content     = join("", [for name, value in local.environment : "${name}=${value}\n"])
    }]
  })}"
}

resource "aws_autoscaling_group" "this" {
  name                = var.name
  min_size            = var.min_size
  max_size            = var.max_size
  vpc_zone_identifier = local.instance_subnet_ids
  target_group_arns   = [aws_lb_target_group.this.arn]

  health_check_type         = "ELB"
  health_check_grace_period = 60
  default_instance_warmup   = 60

  # A maximum of 100 would terminate before it launches, whatever the minimum says. With 150, two instances may be three
  # for a while.
  instance_maintenance_policy {
    min_healthy_percentage = 100
    max_healthy_percentage = 150
  }

  dynamic "launch_template" {
    for_each = var.spot == null ? [1] : []

    content {
      id = aws_launch_template.this.id
      # A number, because AWS rolls no refresh back to $Latest or $Default.
      version = aws_launch_template.this.latest_version
    }
  }

  dynamic "mixed_instances_policy" {
    for_each = var.spot[*]

    content {
      instances_distribution {
        on_demand_base_capacity                  = mixed_instances_policy.value.on_demand_base
        on_demand_percentage_above_base_capacity = mixed_instances_policy.value.on_demand_percentage
        spot_allocation_strategy                 = "price-capacity-optimized"
      }

      launch_template {
        launch_template_specification {
          launch_template_id = aws_launch_template.this.id
          version            = aws_launch_template.this.latest_version
        }

        dynamic "override" {
          for_each = mixed_instances_policy.value.instance_types

          content {
            instance_type = override.value
          }
        }
      }
    }
  }

  # A Spot Instance that is likely to be taken is replaced before it goes.
  capacity_rebalance = var.spot != null

  dynamic "warm_pool" {
    for_each = var.warm_pool[*]

    content {
      min_size   = warm_pool.value.min_size
      pool_state = warm_pool.value.state
    }
  }

  enabled_metrics = [
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupMaxSize",
    "GroupMinSize",
    "GroupPendingInstances",
    "GroupTerminatingInstances",
    "GroupTotalInstances",
  ]

  # The provider's default_tags do not reach a group. What it launches is tagged by the template.
  dynamic "tag" {
    for_each = merge(local.tags, { Name = var.name })

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = false
    }
  }

  # Nobody waits here for instances to become healthy: a time-out would taint the group, and the next apply would
  # replace it. The rollout waits, and knows what to do about it.
  wait_for_capacity_timeout = "0"

  timeouts {
    delete = "15m"
  }

  lifecycle {
    ignore_changes = [
      desired_capacity,
      launch_template[0].version,
      mixed_instances_policy[0].launch_template[0].launch_template_specification[0].version,
    ]
  }

  # An instance asks the store once when it starts; the way there and the permission had better exist.
  depends_on = [
    aws_iam_role_policy.table,
    aws_iam_role_policy.telemetry,
    aws_route.internet,
    aws_route.nat,
    aws_route_table_association.private,
    aws_route_table_association.public,
    aws_vpc_endpoint.dynamodb,
    aws_vpc_security_group_egress_rule.instances_https,
  ]
}
