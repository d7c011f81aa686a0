terraform {
  # Validations that compare two variables need 1.9, the state's lock file in S3 1.11.
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}
