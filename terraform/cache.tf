# A cache that the instances share: cache_enabled.
#
# Instances sign in with their role (IAM authentication), for which the service signs a token of fifteen minutes. So there
# is no password: none in user data, none in a parameter, none in Terraform's state, and none to rotate.

locals {
  cache_name = "${var.name}-cache"

  cache_environment = var.cache_enabled ? {
    TIDELINE_CACHE_URL = join("", [
      "rediss://${aws_elasticache_user.instances[0].user_name}",
      "@${aws_elasticache_replication_group.this[0].primary_endpoint_address}:6379",
    ])
    # The cache whose name the token is signed for.
    TIDELINE_CACHE_IAM = local.cache_name
  } : {}
}

resource "aws_elasticache_subnet_group" "this" {
  count = var.cache_enabled ? 1 : 0

  name       = local.cache_name
  subnet_ids = local.instance_subnet_ids
}

resource "aws_security_group" "cache" {
  count = var.cache_enabled ? 1 : 0

  name        = local.cache_name
  description = "The shared cache of ${var.name}"
  vpc_id      = aws_vpc.this.id

  tags = { Name = local.cache_name }
}

resource "aws_vpc_security_group_ingress_rule" "cache_from_instances" {
  count = var.cache_enabled ? 1 : 0

  security_group_id            = aws_security_group.cache[0].id
  description                  = "Valkey"
  ip_protocol                  = "tcp"
  from_port                    = 6379
  to_port                      = 6379
  referenced_security_group_id = aws_security_group.instances.id
}

resource "aws_vpc_security_group_egress_rule" "instances_to_cache" {
  count = var.cache_enabled ? 1 : 0

  security_group_id            = aws_security_group.instances.id
  description                  = "Valkey"
  ip_protocol                  = "tcp"
  from_port                    = 6379
  to_port                      = 6379
  referenced_security_group_id = aws_security_group.cache[0].id
}

resource "aws_elasticache_user" "instances" {
  count = var.cache_enabled ? 1 : 0

  # For IAM authentication both names must be the same.
  user_id   = local.cache_name
  user_name = local.cache_name
  engine    = "valkey"

  # The service's own keys, and the commands that its scripts and its connection need.
  access_string = "on ~tideline:* resetchannels -@all +@connection +@scripting +get +getrange +set +del +info"

  authentication_mode {
    type = "iam"
  }
}

# The user named default is left out, so nobody gets in without signing in.
resource "aws_elasticache_user_group" "this" {
  count = var.cache_enabled ? 1 : 0

  user_group_id = local.cache_name
  engine        = "valkey"
  user_ids      = [aws_elasticache_user.instances[0].user_id]
}

resource "aws_elasticache_replication_group" "this" {
  count = var.cache_enabled ? 1 : 0

  replication_group_id = local.cache_name
  description          = "The shared cache of ${var.name}"
  engine               = "valkey"
  engine_version       = "8.0"
  node_type            = var.cache_node_type
  parameter_group_name = "default.valkey8"
  port                 = 6379

  num_cache_clusters         = 2
  automatic_failover_enabled = true
  multi_az_enabled           = true
  # What is in it is also in the table.
  snapshot_retention_limit = 0

  subnet_group_name          = aws_elasticache_subnet_group.this[0].name
  security_group_ids         = [aws_security_group.cache[0].id]
  user_group_ids             = [aws_elasticache_user_group.this[0].user_group_id]
  at_rest_encryption_enabled = true
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"
  apply_immediately          = true
}
