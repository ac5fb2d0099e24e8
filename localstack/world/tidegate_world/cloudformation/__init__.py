"""CloudFormation resource types that LocalStack lacks, each made by the API calls a person would make."""
