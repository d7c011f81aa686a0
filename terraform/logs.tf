# The groups exist before the first instance, so that they have a retention and go with the deployment. Each instance
# writes a stream of its own into each, by the agent in the image, whose configuration says the same names.

locals {
  metrics_namespace = "Tideline"
}

resource "aws_cloudwatch_log_group" "instances" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts logs with a key of its own; there are no documents and no tokens in them.
  #checkov:skip=CKV_AWS_338:For how long logs are kept is for the operator to say: log_retention_days.
  for_each = {
    service = "the service's own lines, as JSON"
    system  = "warnings of the journal, and boots that failed"
  }

  name              = "${var.log_group_prefix}/${each.key}"
  retention_in_days = var.log_retention_days

  tags = { Description = each.value }
}
