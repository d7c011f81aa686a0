output "url" {
  description = "Where the service is."
  value       = local.url
}

output "region" {
  description = "Region of all this."
  value       = var.region
}

output "autoscaling_group_name" {
  description = "Auto Scaling group of the instances."
  value       = aws_autoscaling_group.this.name
}

output "launch_template_id" {
  description = "Launch template of the instances."
  value       = aws_launch_template.this.id
}

output "launch_template_version" {
  description = "Its latest version: what a rollout goes to. What runs is the group's own business."
  value       = aws_launch_template.this.latest_version
}

output "build_version" {
  description = "The build in that version."
  value       = var.build_version
}

output "target_group_arn" {
  description = "Target group of the instances."
  value       = aws_lb_target_group.this.arn
}

output "table_name" {
  description = "DynamoDB table of the documents."
  value       = aws_dynamodb_table.documents.name
}

output "log_group_name" {
  description = "CloudWatch log group of the service's own lines."
  value       = aws_cloudwatch_log_group.instances["service"].name
}

output "rollout_alarm_names" {
  description = "Alarms that a rollout watches."
  value       = local.rollout_alarms[*].alarm_name
}

output "dashboard_url" {
  description = "The dashboard in CloudWatch's console."
  value       = "https://${var.region}.console.aws.amazon.com/cloudwatch/home?region=${var.region}#dashboards/dashboard/${aws_cloudwatch_dashboard.this.dashboard_name}"
}
