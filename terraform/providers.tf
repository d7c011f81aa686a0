provider "aws" {
  region = var.region

  default_tags {
    tags = local.tags
  }

  # A rollout notes on the group which version went before. Those tags are its own: a plan must not take them away.
  ignore_tags {
    key_prefixes = ["tideline:rollout:"]
  }
}
