//! What DescribeTargetHealth says.
