# What every deployment decides. What can be added to one is in variables-optional.tf.

variable "region" {
  description = "AWS region, such as eu-west-1."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2,3}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be the name of an AWS region, such as eu-west-1."
  }
}

variable "name" {
  description = "Name of the deployment, and the beginning of its resources' names. Two in one account and region need two names."
  type        = string
  default     = "tideline"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) <= 20 && !startswith(var.name, "internal-")
    error_message = "name must be 1 to 20 lower-case letters, digits and single hyphens, begin with a letter, and not begin with \"internal-\", which load balancers may not be named."
  }
}

variable "tags" {
  description = "Tags for every resource, beside the deployment's own."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:") && !startswith(key, "tideline:")])
    error_message = "tags must not begin with \"aws:\" or \"tideline:\", which AWS and the rollouts keep for themselves."
  }
}

# The build

variable "image_id" {
  description = "The machine image to run: the AMI id in Packer's manifest."
  type        = string

  validation {
    # An alias such as resolve:ssm:… would do for AWS, but a rollout to one cannot be rolled back.
    condition     = can(regex("^ami-([0-9a-f]{8}|[0-9a-f]{17})$", var.image_id))
    error_message = "image_id must be a plain AMI id, such as ami-0123456789abcdef0."
  }
}

variable "build_version" {
  description = "Version of the build in the image, for people: on the instances as the tag Build, and in the launch template."
  type        = string

  validation {
    condition     = can(regex("^[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}$", var.build_version))
    error_message = "build_version must be 1 to 64 letters, digits and . + _ -, such as 0.1.0-1f2e3d4."
  }
}

variable "write_token_sha256" {
  description = "SHA-256 (hex) of each token that may write. Two at once let a token be changed without an outage."
  type        = list(string)

  validation {
    condition     = length(var.write_token_sha256) > 0 && alltrue([for hash in var.write_token_sha256 : can(regex("^[0-9a-f]{64}$", hash))])
    error_message = "write_token_sha256 must name at least one hash, each of 64 lower-case hexadecimal digits: without one, everybody on the internet may write."
  }
}

# The instances

variable "architecture" {
  description = "Architecture of the image, in its manifest's words: amd64 or arm64."
  type        = string
  default     = "amd64"

  validation {
    condition     = contains(["amd64", "arm64"], var.architecture)
    error_message = "architecture must be amd64 or arm64."
  }
}

variable "instance_type" {
  description = "EC2 instance type. Default: t3.small, or t4g.small for arm64."
  type        = string
  default     = null

  validation {
    condition     = var.instance_type == null || can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", var.instance_type))
    error_message = "instance_type must be an EC2 instance type, such as t3.small."
  }

  validation {
    # Graviton families have a g after the generation: t4g, m7g, c7gn. One of the wrong kind fails at boot, not before.
    condition     = var.instance_type == null || can(regex("^[a-z]+[0-9]+g", var.instance_type)) == (var.architecture == "arm64")
    error_message = "instance_type must be of the image's architecture: Graviton for arm64 and only for arm64."
  }
}

variable "root_volume_size" {
  description = "Size of the root volume in GiB. Not below the image's."
  type        = number
  default     = 10

  validation {
    condition     = var.root_volume_size >= 8 && var.root_volume_size <= 1000 && floor(var.root_volume_size) == var.root_volume_size
    error_message = "root_volume_size must be a whole number from 8 to 1000."
  }
}

variable "min_size" {
  description = "Instances at the least. Two, so that one zone may fail."
  type        = number
  default     = 2

  validation {
    condition     = var.min_size >= 1 && floor(var.min_size) == var.min_size
    error_message = "min_size must be a whole number from 1."
  }
}

variable "max_size" {
  description = "Instances at the most."
  type        = number
  default     = 5

  validation {
    condition     = var.max_size >= var.min_size && var.max_size <= 100 && floor(var.max_size) == var.max_size
    error_message = "max_size must be a whole number from min_size to 100."
  }
}

variable "cpu_target" {
  description = "Average CPU in percent that scaling keeps the group at."
  type        = number
  default     = 50

  validation {
    condition     = var.cpu_target >= 10 && var.cpu_target <= 90
    error_message = "cpu_target must be from 10 to 90."
  }
}

# The network

variable "vpc_cidr" {
  description = "Addresses of the VPC, from /16 to /22."
  type        = string
  default     = "10.42.0.0/16"

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && can(regex("^[0-9.]+/(1[6-9]|2[0-2])$", var.vpc_cidr))
    error_message = "vpc_cidr must be an IPv4 network from /16 to /22, such as 10.42.0.0/16."
  }
}

variable "zone_count" {
  description = "Availability zones to spread over."
  type        = number
  default     = 2

  validation {
    condition     = contains([2, 3, 4], var.zone_count)
    error_message = "zone_count must be 2, 3 or 4."
  }
}

variable "allowed_http_cidrs" {
  description = "Networks that may reach the load balancer."
  type        = set(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = length(var.allowed_http_cidrs) > 0 && alltrue([for cidr in var.allowed_http_cidrs : can(cidrnetmask(cidr))])
    error_message = "allowed_http_cidrs must name at least one network, each IPv4, such as 203.0.113.0/24."
  }
}

variable "allowed_ssh_cidrs" {
  description = "Networks that may reach port 22 of the instances, which must be in public subnets. Default: none, the port is closed."
  type        = set(string)
  default     = []

  validation {
    # Two halves of the internet are the internet.
    condition = alltrue([for cidr in var.allowed_ssh_cidrs :
      can(cidrnetmask(cidr)) && try(tonumber(split("/", cidr)[1]) >= 8, false)
    ])
    error_message = "allowed_ssh_cidrs must be IPv4 networks of /8 or smaller, such as 203.0.113.7/32: SSH is not opened to the internet."
  }

  validation {
    condition     = length(var.allowed_ssh_cidrs) == 0 || var.ssh_key_name != null
    error_message = "allowed_ssh_cidrs needs ssh_key_name: the image has no key of its own."
  }
}

variable "ssh_key_name" {
  description = "EC2 key pair to put on the instances. Default: none."
  type        = string
  default     = null
}

# The data and its records

variable "table_name" {
  description = "Name of the DynamoDB table. Default: the deployment's. Another one is for a table that was restored."
  type        = string
  default     = null

  validation {
    condition     = var.table_name == null || can(regex("^[A-Za-z0-9_.-]{3,255}$", var.table_name))
    error_message = "table_name must be 3 to 255 letters, digits and _ . -, as DynamoDB wants it."
  }
}

variable "table_deletion_protection" {
  description = "Whether DynamoDB refuses to delete the table. To destroy a deployment, apply false first."
  type        = bool
  default     = true
}

variable "log_group_prefix" {
  description = "Beginning of the log groups' names. The image has it built in: two deployments in one region need images of two prefixes."
  type        = string
  default     = "/tideline"

  validation {
    condition     = can(regex("^/[A-Za-z0-9_./-]{0,99}[A-Za-z0-9_.-]$", var.log_group_prefix))
    error_message = "log_group_prefix must begin with a slash, not end with one, and have only letters, digits and _ . - / in it."
  }
}

variable "log_retention_days" {
  description = "For how many days CloudWatch keeps logs."
  type        = number
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one that CloudWatch knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 and some beyond."
  }
}
