# What is refused before anything is made. A run breaks many variables at once, each for one reason; every one of them
# must be refused.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  region             = "eu-west-1"
  image_id           = "ami-0123456789abcdef0"
  build_version      = "0.1.0-1f2e3d4"
  write_token_sha256 = ["e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]
}

run "forms" {
  command = plan

  variables {
    region                     = "Frankfurt"
    name                       = "Tideline"
    tags                       = { "aws:team" = "data" }
    image_id                   = "resolve:ssm:/tideline/image"
    build_version              = "one two"
    write_token_sha256         = []
    root_volume_size           = 4
    min_size                   = 0
    cpu_target                 = 100
    vpc_cidr                   = "10.0.0.0/24"
    zone_count                 = 1
    allowed_http_cidrs         = []
    allowed_ssh_cidrs          = ["0.0.0.0/0"]
    ssh_key_name               = "operator"
    table_name                 = "two words"
    log_group_prefix           = "tideline/"
    log_retention_days         = 31
    domain_name                = "http://data.example.com/"
    hosted_zone_id             = "Z0123456789ABCDEFGHIJ"
    waf_rate_limit             = 5
    access_logs_retention_days = 0
    alarm_email                = "on-call"
    cache_node_type            = "t4g.micro"
    requests_per_target        = 0
    schedules                  = { night = { recurrence = "22:00", min_size = 1 } }
    warm_pool                  = { state = "Asleep" }
  }

  expect_failures = [
    var.region,
    var.name,
    var.tags,
    var.image_id,
    var.build_version,
    var.write_token_sha256,
    var.root_volume_size,
    var.min_size,
    var.cpu_target,
    var.vpc_cidr,
    var.zone_count,
    var.allowed_http_cidrs,
    var.allowed_ssh_cidrs,
    var.table_name,
    var.log_group_prefix,
    var.log_retention_days,
    var.domain_name,
    var.waf_rate_limit,
    var.access_logs_retention_days,
    var.alarm_email,
    var.cache_node_type,
    var.requests_per_target,
    var.schedules,
    var.warm_pool,
  ]
}

run "more_forms" {
  command = plan

  variables {
    name               = "tideline-of-the-north-sea"
    tags               = { "tideline:rollout:from" = "7" }
    write_token_sha256 = ["a-token-and-not-its-hash"]
    instance_type      = "small"
    vpc_cidr           = "10.0.0.300/16"
    allowed_http_cidrs = ["::/0"]
    allowed_ssh_cidrs  = ["::/0"]
    ssh_key_name       = "operator"
    schedules          = { night = { recurrence = "0 22 * * *" } }
    spot               = { on_demand_percentage = 150, instance_types = ["t3.small", "t3a.small"] }
  }

  expect_failures = [
    var.name,
    var.tags,
    var.write_token_sha256,
    var.instance_type,
    var.vpc_cidr,
    var.allowed_http_cidrs,
    var.allowed_ssh_cidrs,
    var.schedules,
    var.spot,
  ]
}

run "what_does_not_go_together" {
  command = plan

  variables {
    name                    = "internal-data"
    instance_type           = "t4g.small"
    min_size                = 3
    max_size                = 2
    allowed_ssh_cidrs       = ["203.0.113.7/32"]
    ssh_key_name            = "operator"
    private_subnets_enabled = true
    domain_name             = "data.example.com"
    warm_pool               = {}
    spot                    = { instance_types = ["t3.small", "t3a.small"] }
  }

  expect_failures = [
    var.name,
    var.instance_type,
    var.max_size,
    var.private_subnets_enabled,
    var.domain_name, # No zone.
    var.warm_pool,
  ]
}

run "nor_the_other_way_round" {
  command = plan

  variables {
    architecture      = "arm64"
    instance_type     = "t3.small"
    allowed_ssh_cidrs = ["203.0.113.7/32"]
    hosted_zone_id    = "Z0123456789ABCDEFGHIJ"
    spot              = { instance_types = ["t4g.small", "t3.small"] }
  }

  expect_failures = [
    var.instance_type,
    var.allowed_ssh_cidrs, # No key.
    var.domain_name,       # No name for the zone.
    var.spot,
  ]
}

# A variable whose check looks at one that is refused is not checked. So what others look at is in runs of its own.
run "what_others_look_at" {
  command = plan

  variables {
    domain_name       = "data.example.com"
    hosted_zone_id    = "example.com"
    allowed_ssh_cidrs = ["0.0.0.0/1", "128.0.0.0/1"]
    ssh_key_name      = "operator"
    spot              = { instance_types = ["t3.small"] }
  }

  expect_failures = [
    var.hosted_zone_id,
    var.allowed_ssh_cidrs,
    var.spot,
  ]
}

run "and_what_those_look_at" {
  command = plan

  variables {
    architecture = "x86_64"
  }

  expect_failures = [var.architecture]
}
