# The image: Debian 13, the service and what it needs to run, proven before it is an image.
#
# What stands between the two marks "Packer 1.11" is for the current amazon plugin; the tests bake with a copy that lacks
# it, on the Packer of Debian. Everything else is the same for both.

locals {
  built_at = timestamp()
  # Names are unique in an account: two bakes of one commit differ in the time.
  name          = "tideline-${var.crate_version}-${substr(var.git_commit, 0, 7)}-${var.architecture}-${formatdate("YYYYMMDDhhmmss", local.built_at)}"
  instance_type = { amd64 = "t3.small", arm64 = "t4g.small" }
  ec2_name      = { amd64 = "x86_64", arm64 = "arm64" }

  # {{ .SourceAMI }} is filled in by the builder.
  tags = merge(var.tags, {
    "Name"                     = local.name
    "Application"              = "tideline"
    "Stack"                    = var.stack
    "tideline:version"         = var.crate_version
    "tideline:git-commit"      = var.git_commit
    "tideline:git-dirty"       = var.git_dirty ? "true" : "false"
    "tideline:binary-sha256"   = var.binary_sha256
    "tideline:source-ami"      = "{{ .SourceAMI }}"
    "tideline:source-ami-name" = "{{ .SourceAMIName }}"
    "tideline:built-at"        = local.built_at
  })
}

source "amazon-ebs" "tideline" {
  ami_name        = local.name
  ami_description = "Tideline ${var.crate_version} (${var.git_commit}) on Debian 13 ${var.architecture}"

  region              = var.region
  custom_endpoint_ec2 = var.ec2_endpoint
  instance_type       = var.instance_type != "" ? var.instance_type : local.instance_type[var.architecture]
  subnet_id           = var.subnet_id
  ena_support         = true
  # A builder that dies leaves an instance that powers itself off to nothing.
  shutdown_behavior = "terminate"

  source_ami_filter {
    filters = {
      name                = "${var.source_ami_name}-${var.architecture}-*"
      architecture        = local.ec2_name[var.architecture]
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = [var.source_ami_owner]
    most_recent = true
  }

  # The name of the source image's root device; another one would add a second disk.
  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_type           = "gp3"
    volume_size           = var.volume_size
    iops                  = 3000
    throughput            = 125
    delete_on_termination = true
  }

  # Packer 1.11: from here
  imds_support                              = "v2.0"
  deprecate_at                              = timeadd(local.built_at, "${var.keep_days * 24}h")
  temporary_security_group_source_public_ip = true
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  # Packer 1.11: to here

  communicator                          = "ssh"
  ssh_username                          = "admin"
  ssh_interface                         = var.ssh_interface
  ssh_port                              = var.ssh_port
  ssh_timeout                           = "5m"
  temporary_key_pair_type               = "ed25519"
  temporary_security_group_source_cidrs = var.ssh_source_cidrs

  tags            = local.tags
  snapshot_tags   = local.tags
  run_tags        = merge(local.tags, { "Name" = "bake ${local.name}" })
  run_volume_tags = merge(local.tags, { "Name" = "bake ${local.name}" })
}

build {
  sources = ["source.amazon-ebs.tideline"]

  provisioner "shell" {
    inline = [
      # Debian's own first boot must be over: it writes to apt's configuration too. 2 is "done, with a warning".
      "code=0; timeout 300 cloud-init status --wait >/dev/null || code=$?; [ $code -eq 0 ] || [ $code -eq 2 ]",
      "mkdir -p /tmp/tideline",
    ]
  }

  provisioner "file" {
    source      = var.binary
    destination = "/tmp/tideline/tideline"
  }

  provisioner "file" {
    sources     = ["${path.root}/../systemd", "${path.root}/files"]
    destination = "/tmp/tideline/"
  }

  provisioner "shell" {
    scripts = [
      "${path.root}/scripts/install",
      "${path.root}/scripts/logs",
      "${path.root}/scripts/verify",
      "${path.root}/scripts/clean",
    ]
    execute_command = "sudo env {{ .Vars }} bash {{ .Path }}"
    environment_vars = [
      "TIDELINE_BINARY_SHA256=${var.binary_sha256}",
      "TIDELINE_GIT_COMMIT=${var.git_commit}",
      "TIDELINE_CRATE_VERSION=${var.crate_version}",
      "TIDELINE_CLOUDWATCH_AGENT=${var.cloudwatch_agent}",
      "TIDELINE_CLOUDWATCH_AGENT_VERSION=${var.cloudwatch_agent_version}",
      "TIDELINE_CLOUDWATCH_AGENT_SHA256=${var.cloudwatch_agent_sha256}",
      "TIDELINE_LOG_GROUP_PREFIX=${var.log_group_prefix}",
    ]
    timeout = "20m"
  }

  post-processor "manifest" {
    output = var.manifest
    custom_data = {
      name          = local.name
      architecture  = var.architecture
      crate_version = var.crate_version
      git_commit    = var.git_commit
      git_dirty     = var.git_dirty ? "true" : "false"
      binary_sha256 = var.binary_sha256
      built_at      = local.built_at
    }
  }
}
