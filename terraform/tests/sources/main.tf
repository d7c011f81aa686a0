# Numbers and names in the service's sources and units, for agree.tftest.hcl. A pattern that finds nothing, or two of what
# there should be one of, is an error.

locals {
  root   = "${path.module}/../../.."
  server = "${local.root}/server/src"

  args    = file("${local.server}/args.rs")
  serve   = file("${local.server}/serve.rs")
  connect = file("${local.server}/store/connect.rs")
  store   = join("\n", [for name in fileset("${local.server}/store", "**/*.rs") : file("${local.server}/store/${name}")])
  service = file("${local.root}/systemd/tideline.service")
  socket  = file("${local.root}/systemd/tideline.socket")
  packer  = join("\n", [for name in fileset("${local.root}/packer", "*.pkr.hcl") : file("${local.root}/packer/${name}")])
  agent   = jsondecode(file("${local.root}/packer/files/cloudwatch-agent.json"))

  prefix = one(regexall("variable \"log_group_prefix\" {[^}]*default *= \"([^\"]+)\"", local.packer))[0]

  defaults = { for match in regexall("env = \"(TIDELINE_[A-Z_0-9]+)\"[^)]*default_value = \"([^\"]*)\"", local.args) : match[0] => match[1] }
  calls    = toset([for match in regexall("\\.call\\(\"([A-Za-z]+)\"", local.store) : match[0]])
  keys     = { for match in regexall("\\(\"([a-z_]+)\", KeyType::(Hash|Range)\\)", local.connect) : match[0] => upper(match[1]) }
}

output "seconds" {
  value = {
    idle          = tonumber(one(regexall("const IDLE: Duration = Duration::from_secs\\(([0-9]+)\\)", local.serve))[0])
    linger        = tonumber(one(regexall("const LINGER: Duration = Duration::from_secs\\(([0-9]+)\\)", local.serve))[0])
    invalidations = tonumber(one(regexall("const LAST_INVALIDATIONS: Duration = Duration::from_secs\\(([0-9]+)\\)", file("${local.server}/server.rs")))[0])
    flush         = tonumber(one(regexall("const FLUSH_BOUND: Duration = Duration::from_secs\\(([0-9]+)\\)", file("${local.server}/logging/access.rs")))[0])
    request       = tonumber(regex("^([0-9]+)s$", local.defaults.TIDELINE_REQUEST_TIMEOUT)[0])
    body          = tonumber(regex("^([0-9]+)s$", local.defaults.TIDELINE_BODY_TIMEOUT)[0])
  }
}

output "unit" {
  value = {
    stop     = tonumber(one(regexall("(?m)^TimeoutStopSec=([0-9]+)s?$", local.service))[0])
    watchdog = tonumber(one(regexall("(?m)^WatchdogSec=([0-9]+)s?$", local.service))[0])
    # The unit's own wins over the service's default.
    drain       = tonumber(regex("^([0-9]+)s$", try(regex("TIDELINE_DRAIN_TIMEOUT=([0-9a-z]+)", local.service)[0], local.defaults.TIDELINE_DRAIN_TIMEOUT))[0])
    environment = one(regexall("(?m)^EnvironmentFile=-?(.*)$", local.service))[0]
    port        = tonumber(one(regexall("(?m)^ListenStream=(?:.*:)?([0-9]+)$", local.socket))[0])
  }
}

output "image" {
  value = {
    log_groups  = toset([for file in local.agent.logs.logs_collected.files.collect_list : replace(file.log_group_name, "@LOG_GROUP_PREFIX@", local.prefix)])
    namespace   = local.agent.metrics.namespace
    device      = one(regexall("device_name *= \"([^\"]+)\"", local.packer))[0]
    volume_size = tonumber(one(regexall("variable \"volume_size\" {[^}]*default *= ([0-9]+)", local.packer))[0])
  }
}

output "port" {
  value = tonumber(regex(":([0-9]+)$", local.defaults.TIDELINE_LISTEN)[0])
}

output "routes" {
  value = toset([for match in regexall("(?m)^ *([A-Z]+) \"(/[^\"]*)\" =>", file("${local.server}/routes.rs")) : "${match[0]} ${match[1]}"])
}

output "settings" {
  value = toset([for match in regexall("env = \"(TIDELINE_[A-Z_0-9]+)\"", local.args) : match[0]])
}

# A transaction asks for the permission of what is in it: PutItem, which is among the others.
output "operations" {
  value = setsubtract(local.calls, ["TransactWriteItems"])
}

output "table" {
  value = merge(local.keys, {
    (one(regexall("TimeToLiveSpecification::builder\\(\\)\\.enabled\\(true\\)\\.attribute_name\\(\"([a-z_]+)\"\\)", local.connect))[0]) = "TTL"
  })
}
