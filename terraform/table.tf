resource "aws_dynamodb_table" "documents" {
  #checkov:skip=CKV_AWS_119:AWS's managed key encrypts it; a key of one's own costs, and keeps out only those who may use DynamoDB but not KMS.
  name         = coalesce(var.table_name, var.name)
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "shard"
  range_key    = "id"

  attribute {
    name = "shard"
    type = "S"
  }

  attribute {
    name = "id"
    type = "S"
  }

  # Idempotency keys end by themselves; documents do not have the attribute.
  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  server_side_encryption {
    enabled = true
  }

  point_in_time_recovery {
    enabled = true
  }

  deletion_protection_enabled = var.table_deletion_protection
}
