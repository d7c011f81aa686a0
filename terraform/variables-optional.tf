# What can be added to a deployment. All of it is off by default.

# HTTPS

variable "domain_name" {
  description = "Name to serve HTTPS under, such as data.example.com. Port 80 then redirects. Needs hosted_zone_id."
  type        = string
  default     = null

  validation {
    condition     = var.domain_name == null || can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", var.domain_name))
    error_message = "domain_name must be a lower-case domain name, such as data.example.com."
  }

  validation {
    condition     = (var.domain_name == null) == (var.hosted_zone_id == null)
    error_message = "domain_name and hosted_zone_id go together."
  }
}

variable "hosted_zone_id" {
  description = "Route 53 hosted zone that domain_name is in, for its record and for the proof that the certificate asks for."
  type        = string
  default     = null

  validation {
    condition     = var.hosted_zone_id == null || can(regex("^[0-9A-Z]{8,32}$", var.hosted_zone_id))
    error_message = "hosted_zone_id must be the id of a Route 53 hosted zone, such as Z0123456789ABCDEFGHIJ."
  }
}

# Protection

variable "waf_enabled" {
  description = "Whether AWS WAF stands before the load balancer: AWS's managed rules and a rate limit."
  type        = bool
  default     = false
}

variable "waf_rate_limit" {
  description = "Requests that one address may send in five minutes. A load test from one machine needs more than the default."
  type        = number
  default     = 10000

  validation {
    condition     = var.waf_rate_limit >= 10 && var.waf_rate_limit <= 2000000000
    error_message = "waf_rate_limit must be from 10 to 2000000000."
  }
}

variable "private_subnets_enabled" {
  description = "Whether the instances have no public address: private subnets, and a NAT gateway for what they send."
  type        = bool
  default     = false

  validation {
    condition     = !var.private_subnets_enabled || length(var.allowed_ssh_cidrs) == 0
    error_message = "private_subnets_enabled excludes allowed_ssh_cidrs: nobody reaches those instances from outside. Use session_manager_enabled."
  }
}

variable "session_manager_enabled" {
  description = "Whether the instances may be entered through Systems Manager. Needs an image with its agent."
  type        = bool
  default     = false
}

# Records

variable "access_logs_enabled" {
  description = "Whether the load balancer writes its access log to an S3 bucket, which is deleted with the deployment."
  type        = bool
  default     = false
}

variable "access_logs_retention_days" {
  description = "For how many days the access log is kept."
  type        = number
  default     = 30

  validation {
    condition     = var.access_logs_retention_days >= 1 && floor(var.access_logs_retention_days) == var.access_logs_retention_days
    error_message = "access_logs_retention_days must be a whole number from 1."
  }
}

variable "alarm_email" {
  description = "Address to which alarms are sent. AWS asks it for consent first."
  type        = string
  default     = null

  validation {
    condition     = var.alarm_email == null || can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", var.alarm_email))
    error_message = "alarm_email must be an e-mail address."
  }
}

# The cache

variable "cache_enabled" {
  description = "Whether the instances share a cache: Valkey by ElastiCache, over TLS."
  type        = bool
  default     = false
}

variable "cache_node_type" {
  description = "ElastiCache node type; there are two nodes."
  type        = string
  default     = "cache.t4g.micro"

  validation {
    condition     = can(regex("^cache\\.[a-z0-9]+\\.[a-z0-9]+$", var.cache_node_type))
    error_message = "cache_node_type must be an ElastiCache node type, such as cache.t4g.micro."
  }
}

# Capacity

variable "requests_per_target" {
  description = "Requests a minute and instance that scaling keeps the group at, beside the CPU; the larger group wins."
  type        = number
  default     = null

  validation {
    condition     = var.requests_per_target == null || try(var.requests_per_target >= 1, false)
    error_message = "requests_per_target must be at least 1."
  }
}

variable "schedules" {
  description = <<-EOT
    Sizes of the group by the clock, each under its name: recurrence in cron's five fields, time zone, and the sizes, where
    -1 leaves one as it is. What sets min_size or max_size shows as a change in later plans, and applying one ends it.
  EOT
  type = map(object({
    recurrence       = string
    time_zone        = optional(string, "Etc/UTC")
    min_size         = optional(number, -1)
    max_size         = optional(number, -1)
    desired_capacity = optional(number, -1)
  }))
  default = {}

  validation {
    condition     = alltrue([for schedule in values(var.schedules) : length(split(" ", schedule.recurrence)) == 5])
    error_message = "schedules: recurrence must have cron's five fields, such as \"0 7 * * MON-FRI\"."
  }

  validation {
    condition     = alltrue([for schedule in values(var.schedules) : max(schedule.min_size, schedule.max_size, schedule.desired_capacity) >= 0])
    error_message = "schedules: one of min_size, max_size and desired_capacity must be set."
  }
}

variable "warm_pool" {
  description = "Instances kept ready beside the group, stopped or running: scaling out is then a start, not a boot."
  type = object({
    min_size = optional(number, 1)
    state    = optional(string, "Stopped")
  })
  default = null

  validation {
    condition     = var.warm_pool == null || contains(["Stopped", "Running"], try(var.warm_pool.state, ""))
    error_message = "warm_pool: state must be Stopped or Running."
  }

  validation {
    condition     = var.warm_pool == null || var.spot == null
    error_message = "warm_pool excludes spot: AWS keeps no warm pool for a group with Spot Instances."
  }
}

variable "spot" {
  description = "Spot Instances in the group: how many instances are on demand in any case, what share of the rest, and which types to choose from."
  type = object({
    on_demand_base       = optional(number, 1)
    on_demand_percentage = optional(number, 0)
    instance_types       = list(string)
  })
  default = null

  validation {
    condition     = var.spot == null || try(var.spot.on_demand_base >= 0 && var.spot.on_demand_percentage >= 0 && var.spot.on_demand_percentage <= 100, false)
    error_message = "spot: on_demand_base must be at least 0, on_demand_percentage from 0 to 100."
  }

  validation {
    condition     = var.spot == null || try(length(var.spot.instance_types) >= 2, false)
    error_message = "spot: instance_types must name at least two: where there is one, a shortage of it takes the group down."
  }

  validation {
    condition     = alltrue([for type in try(var.spot.instance_types, []) : can(regex("^[a-z]+[0-9]+g", type)) == (var.architecture == "arm64")])
    error_message = "spot: instance_types must be of the image's architecture."
  }
}
