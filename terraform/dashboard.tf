locals {
  # Title, and CloudWatch's own form of metrics: namespace, name, dimensions, options. Two to a row.
  charts = [
    {
      title = "Requests a minute"
      metrics = [
        ["AWS/ApplicationELB", "RequestCount", "LoadBalancer", aws_lb.this.arn_suffix, { stat = "Sum" }],
      ]
    },
    {
      title = "Failures a minute"
      metrics = [
        ["AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "LoadBalancer", aws_lb.this.arn_suffix, { stat = "Sum" }],
        ["AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", "LoadBalancer", aws_lb.this.arn_suffix, { stat = "Sum" }],
        ["AWS/ApplicationELB", "HTTPCode_Target_4XX_Count", "LoadBalancer", aws_lb.this.arn_suffix, { stat = "Sum" }],
      ]
    },
    {
      title = "Response time in seconds"
      metrics = [for stat in ["p50", "p90", "p99"] :
        ["AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", aws_lb.this.arn_suffix, { stat = stat, label = stat }]
      ]
    },
    {
      title = "CPU in percent"
      metrics = [
        ["AWS/EC2", "CPUUtilization", "AutoScalingGroupName", aws_autoscaling_group.this.name, { stat = "Average" }],
        ["AWS/EC2", "CPUUtilization", "AutoScalingGroupName", aws_autoscaling_group.this.name, { stat = "Maximum" }],
      ]
    },
    {
      title = "Instances"
      metrics = [for name in ["GroupDesiredCapacity", "GroupInServiceInstances", "GroupPendingInstances", "GroupTerminatingInstances"] :
        ["AWS/AutoScaling", name, "AutoScalingGroupName", aws_autoscaling_group.this.name, { stat = "Maximum" }]
      ]
    },
    {
      title = "Targets"
      metrics = [for name in ["HealthyHostCount", "UnHealthyHostCount"] :
        ["AWS/ApplicationELB", name, "TargetGroup", aws_lb_target_group.this.arn_suffix, "LoadBalancer", aws_lb.this.arn_suffix, { stat = "Maximum" }]
      ]
    },
    {
      title = "DynamoDB: capacity units a minute"
      metrics = [for name in ["ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"] :
        ["AWS/DynamoDB", name, "TableName", aws_dynamodb_table.documents.name, { stat = "Sum" }]
      ]
    },
    {
      title = "DynamoDB: throttled a minute"
      metrics = [for name in ["ReadThrottleEvents", "WriteThrottleEvents"] :
        ["AWS/DynamoDB", name, "TableName", aws_dynamodb_table.documents.name, { stat = "Sum" }]
      ]
    },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = concat(
      [for index, chart in local.charts : {
        type   = "metric"
        x      = index % 2 * 12
        y      = floor(index / 2) * 6
        width  = 12
        height = 6
        properties = {
          title   = chart.title
          metrics = chart.metrics
          region  = var.region
          period  = 60
          view    = "timeSeries"
          yAxis   = { left = { min = 0 } }
        }
      }],
      [{
        type   = "alarm"
        x      = 0
        y      = 24
        width  = 24
        height = 3
        properties = {
          title  = "Alarms"
          alarms = [for alarm in local.alarms : alarm.arn]
        }
      }],
    )
  })
}
