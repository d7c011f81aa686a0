resource "aws_lb" "this" {
  #checkov:skip=CKV_AWS_150:It holds nothing; what must not be deleted by mistake is the table, and that is protected.
  #checkov:skip=CKV2_AWS_76:The rules against Log4j are there with WAF; the other list asked for would refuse every VPN and cloud.
  name               = var.name
  load_balancer_type = "application"
  subnets            = [for subnet in aws_subnet.public : subnet.id]
  security_groups    = [aws_security_group.balancer.id]

  # Below the service's 75 s: the balancer must be the one to close an idle connection, or it now and then sends a
  # request into one that is just going, and answers 502.
  idle_timeout               = 60
  drop_invalid_header_fields = true

  dynamic "access_logs" {
    for_each = aws_s3_bucket.access_logs

    content {
      enabled = true
      bucket  = access_logs.value.id
    }
  }

  # AWS writes a test object when logging is turned on, and refuses if it may not.
  depends_on = [aws_s3_bucket_policy.access_logs]
}

resource "aws_lb_target_group" "this" {
  #checkov:skip=CKV_AWS_378:TLS ends at the balancer; what follows stays within the VPC, between two security groups.
  name        = var.name
  vpc_id      = aws_vpc.this.id
  target_type = "instance"
  protocol    = "HTTP"
  port        = local.port

  # Not below what a request may take. More only makes scaling in and rollouts slower.
  deregistration_delay = 30

  # An instance that is slow for any reason gets less, without a health check having to notice.
  load_balancing_algorithm_type = "least_outstanding_requests"

  health_check {
    path                = local.health_path
    protocol            = "HTTP"
    port                = "traffic-port"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.this.arn
  protocol          = "HTTP"
  port              = 80

  default_action {
    type             = local.https ? "redirect" : "forward"
    target_group_arn = local.https ? null : aws_lb_target_group.this.arn

    dynamic "redirect" {
      for_each = local.https ? [1] : []

      content {
        protocol    = "HTTPS"
        port        = "443"
        status_code = "HTTP_301"
      }
    }
  }
}

# The service has its metrics on another port. This is for the day that somebody changes that.
resource "aws_lb_listener_rule" "no_metrics" {
  listener_arn = local.listener_arn
  priority     = 1

  condition {
    path_pattern {
      values = ["/metrics", "/metrics/*"]
    }
  }

  action {
    type = "fixed-response"

    fixed_response {
      status_code  = "404"
      content_type = "text/plain"
      message_body = "Not found"
    }
  }
}

# The access log

data "aws_caller_identity" "current" {}

resource "aws_s3_bucket" "access_logs" {
  #checkov:skip=CKV_AWS_18:This is the log; a log of who reads it would need one in turn.
  #checkov:skip=CKV_AWS_21:Log files are written once and never changed.
  #checkov:skip=CKV_AWS_144:A log for operation, kept for weeks, is not worth a copy in another region.
  #checkov:skip=CKV_AWS_145:The balancer can write to a bucket with S3's own key only.
  #checkov:skip=CKV2_AWS_62:Nobody waits for a log file.
  count = var.access_logs_enabled ? 1 : 0

  bucket        = "${var.name}-access-logs-${data.aws_caller_identity.current.account_id}-${var.region}"
  force_destroy = true
}

resource "aws_s3_bucket_public_access_block" "access_logs" {
  count = var.access_logs_enabled ? 1 : 0

  bucket                  = aws_s3_bucket.access_logs[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "access_logs" {
  count = var.access_logs_enabled ? 1 : 0

  bucket = aws_s3_bucket.access_logs[0].id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "access_logs" {
  count = var.access_logs_enabled ? 1 : 0

  bucket = aws_s3_bucket.access_logs[0].id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = var.access_logs_retention_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

resource "aws_s3_bucket_policy" "access_logs" {
  count = var.access_logs_enabled ? 1 : 0

  bucket = aws_s3_bucket.access_logs[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "logdelivery.elasticloadbalancing.amazonaws.com" }
      Action    = "s3:PutObject"
      Resource  = "${aws_s3_bucket.access_logs[0].arn}/AWSLogs/${data.aws_caller_identity.current.account_id}/*"
    }]
  })

  depends_on = [aws_s3_bucket_public_access_block.access_logs]
}
