# What several files must agree on. Numbers that the service and its unit have a say in are held against them by
# tests/agree.tftest.hcl.

locals {
  tags = merge(var.tags, {
    Application = "tideline"
    Stack       = var.name
    ManagedBy   = "terraform"
  })

  port        = 8080
  health_path = "/health"

  instance_type = coalesce(var.instance_type, var.architecture == "arm64" ? "t4g.small" : "t3.small")

  # Not every zone has every instance type; local zones are left out by the data source.
  zones = slice(sort(setintersection(
    data.aws_availability_zones.available.names,
    data.aws_ec2_instance_type_offerings.zones.locations,
  )), 0, var.zone_count)

  instance_subnet_ids = [for subnet in(var.private_subnets_enabled ? aws_subnet.private : aws_subnet.public) : subnet.id]

  https        = var.domain_name != null
  listener_arn = local.https ? aws_lb_listener.https[0].arn : aws_lb_listener.http.arn
  url          = local.https ? "https://${var.domain_name}" : "http://${aws_lb.this.dns_name}"

  alarm_actions = aws_sns_topic.alarms[*].arn

  # The settings of the service on an instance: /etc/tideline/tideline.env, which its unit reads. No secret is among
  # them: who may read user data may not write documents.
  environment = merge(
    {
      AWS_REGION                  = var.region
      TIDELINE_TABLE              = aws_dynamodb_table.documents.name
      TIDELINE_WRITE_TOKEN_SHA256 = join(",", var.write_token_sha256)
      # A scale-in has deregistered the instance before it is told to stop; this is for requests still on their way.
      TIDELINE_DRAIN_DELAY = "5s"
    },
    local.cache_environment,
  )
}

data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394:A new zone has a letter behind the others', and the first of them are taken.
  state = "available"

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

data "aws_ec2_instance_type_offerings" "zones" {
  location_type = "availability-zone"

  filter {
    name   = "instance-type"
    values = [local.instance_type]
  }
}
