# What packer/bake finds out and passes on. (regex_replace checks, because the Packer of Debian has no regex.)

variable "binary" {
  type        = string
  description = "The tideline binary to bake, built for the target: release, --no-default-features."
  validation {
    condition     = length(var.binary) > 0
    error_message = "The binary's path is missing: bake with packer/bake, which builds it and finds it."
  }
}

variable "binary_sha256" {
  type        = string
  description = "The binary's SHA-256, hexadecimal. The bake refuses another one."
  validation {
    condition     = length(var.binary_sha256) == 64 && regex_replace(var.binary_sha256, "[0-9a-f]", "") == ""
    error_message = "A SHA-256 has 64 lower-case hexadecimal digits."
  }
}

variable "crate_version" {
  type        = string
  description = "The version of the crate, such as 0.1.0."
  validation {
    condition     = var.crate_version != "" && regex_replace(var.crate_version, "^[0-9]+\\.[0-9]+\\.[0-9]+.*$", "") == ""
    error_message = "The version of the crate looks like 0.1.0."
  }
}

variable "git_commit" {
  type        = string
  description = "The commit that the binary was built from. The bake refuses a binary that says otherwise."
  validation {
    condition     = length(var.git_commit) == 40 && regex_replace(var.git_commit, "[0-9a-f]", "") == ""
    error_message = "A commit has 40 lower-case hexadecimal digits."
  }
}

variable "git_dirty" {
  type        = bool
  description = "Whether the working tree differed from that commit."
}

variable "manifest" {
  type        = string
  description = "Packer's manifest, which later steps read the image's id from. Packer appends to it: select by last_run_uuid."
}

# What a person may want otherwise.

variable "region" {
  type        = string
  default     = null
  description = "Region of the image. Default: AWS_REGION, or the AWS configuration file's."
}

variable "architecture" {
  type        = string
  default     = "amd64"
  description = "The target's architecture in Debian's words: amd64 or arm64. The binary must be built for it."
  validation {
    condition     = contains(["amd64", "arm64"], var.architecture)
    error_message = "The architecture is amd64 or arm64."
  }
}

variable "instance_type" {
  type        = string
  default     = ""
  description = "The build instance. Default: t3.small, or t4g.small for arm64."
}

variable "subnet_id" {
  type        = string
  default     = null
  description = "Subnet of the build instance. Default: one of the default VPC's."
}

variable "ssh_interface" {
  type        = string
  default     = "public_ip"
  description = "How the builder reaches the build instance: public_ip, private_ip or session_manager."
  validation {
    condition     = contains(["public_ip", "private_ip", "session_manager"], var.ssh_interface)
    error_message = "The builder reaches the instance by public_ip, private_ip or session_manager."
  }
}

variable "ssh_source_cidrs" {
  type        = list(string)
  default     = []
  description = "Who may reach the build instance's SSH. Default: only this machine's own public address."
  validation {
    condition     = ! contains(var.ssh_source_cidrs, "0.0.0.0/0") && ! contains(var.ssh_source_cidrs, "::/0")
    error_message = "SSH is not opened to everybody: name the builder's own addresses."
  }
}

variable "ssh_port" {
  type        = number
  default     = 22
  description = "Where the build instance's SSH is reached: for rehearsals, where port 22 is somebody else's."
  validation {
    condition     = var.ssh_port >= 1 && var.ssh_port <= 65535
    error_message = "A port is 1 to 65535."
  }
}

variable "source_ami_owner" {
  type        = string
  default     = "136693071363"
  description = "Account that publishes the source image. Default: Debian's."
  validation {
    condition     = length(var.source_ami_owner) == 12 && regex_replace(var.source_ami_owner, "[0-9]", "") == ""
    error_message = "An account has 12 digits; an alias would let others publish the source image."
  }
}

variable "source_ami_name" {
  type        = string
  default     = "debian-13"
  description = "Beginning of the source image's name; the architecture and Debian's build date follow."
}

variable "volume_size" {
  type        = number
  default     = 8
  description = "Root volume in GiB: at least the source image's 8."
  validation {
    condition     = var.volume_size >= 8 && var.volume_size <= 1024
    error_message = "The root volume has 8 to 1024 GiB."
  }
}

variable "keep_days" {
  type        = number
  default     = 90
  description = "Days until the image is deprecated: hidden from those who search for images, not from those who use it."
  validation {
    condition     = var.keep_days >= 1 && var.keep_days <= 3650
    error_message = "An image is kept 1 to 3650 days."
  }
}

variable "cloudwatch_agent" {
  type        = bool
  default     = true
  description = "Whether the CloudWatch agent is in the image. Without it, logs stay on the instance and die with it."
}

variable "cloudwatch_agent_version" {
  type        = string
  default     = "latest"
  description = "The agent's version as AWS publishes it, such as 1.300064.0b1337, or latest. Its signature is always checked."
}

variable "cloudwatch_agent_sha256" {
  type        = string
  default     = ""
  description = "SHA-256 of the agent's package, to pin it beside its signature. Default: not pinned."
  validation {
    condition     = contains([0, 64], length(var.cloudwatch_agent_sha256)) && regex_replace(var.cloudwatch_agent_sha256, "[0-9a-f]", "") == ""
    error_message = "A SHA-256 has 64 lower-case hexadecimal digits."
  }
}

variable "log_group_prefix" {
  type        = string
  default     = "/tideline"
  description = "The agent's log groups: PREFIX/service and PREFIX/system."
  validation {
    condition     = var.log_group_prefix != "" && regex_replace(var.log_group_prefix, "^/[A-Za-z0-9_./-]*[A-Za-z0-9_.-]$", "") == ""
    error_message = "A prefix begins with a slash, does not end with one, and has only letters, digits and _ . - / in it."
  }
}

variable "stack" {
  type        = string
  default     = "tideline"
  description = "Name of the deployment that the image is for, as the tag Stack: to destroy it removes its images."
  validation {
    condition     = var.stack != "" && regex_replace(var.stack, "^[a-z][a-z0-9-]*$", "") == ""
    error_message = "The deployment's name has lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "More tags for the image, its snapshot and the build instance."
}

variable "ec2_endpoint" {
  type        = string
  default     = null
  description = "Another EC2 than AWS's, for rehearsals. Default: AWS."
}
