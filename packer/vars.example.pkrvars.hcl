# Copy to tideline.auto.pkrvars.hcl beside this file, which git ignores and Packer reads by itself, and keep what differs.
# packer/bake fills in the binary and where it came from. variables.pkr.hcl documents every variable.

# region           = "eu-central-1"
# architecture     = "arm64"
# subnet_id        = "subnet-0123456789abcdef0"
# ssh_interface    = "session_manager"
# ssh_source_cidrs = ["198.51.100.7/32"]
# keep_days        = 30

# cloudwatch_agent         = true
# cloudwatch_agent_version = "latest"
# cloudwatch_agent_sha256  = ""
# log_group_prefix         = "/tideline"

# tags = { team = "platform" }
