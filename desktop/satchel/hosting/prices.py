"""AWS's list prices as this version knows them: us-east-1, US dollars. The pages named are what counts."""

from __future__ import annotations

from dataclasses import dataclass

AS_OF = "2025-11"
REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Price:
    """`usd` for one `unit`; `free` units a month cost nothing in any account, for as long as it exists."""

    what: str
    usd: float
    unit: str
    source: str
    free: float = 0


_S3 = "https://aws.amazon.com/s3/pricing/"
_CLOUDFRONT = "https://aws.amazon.com/cloudfront/pricing/"
_GATEWAY = "https://aws.amazon.com/api-gateway/pricing/"
_LAMBDA = "https://aws.amazon.com/lambda/pricing/"
_DYNAMODB = "https://aws.amazon.com/dynamodb/pricing/on-demand/"
_CLOUDWATCH = "https://aws.amazon.com/cloudwatch/pricing/"
_COGNITO = "https://aws.amazon.com/cognito/pricing/"
_KMS = "https://aws.amazon.com/kms/pricing/"
_WAF = "https://aws.amazon.com/waf/pricing/"

PRICES = {
    "s3_storage": Price("files stored", 0.023, "GB", _S3),
    "s3_put": Price("S3 requests that write or list", 5e-6, "request", _S3),
    "s3_get": Price("S3 requests that read", 4e-7, "request", _S3),
    "transfer": Price("downloads, out of S3 to the internet", 0.09, "GB", _S3, 100),
    "cloudfront_requests": Price("requests to CloudFront", 1e-6, "request", _CLOUDFRONT, 10_000_000),
    "cloudfront_transfer": Price("pages and answers out of CloudFront", 0.085, "GB", _CLOUDFRONT, 1000),
    "cloudfront_function": Price("runs of the function at the edge", 1e-7, "run", _CLOUDFRONT, 2_000_000),
    "http_api": Price("requests to the HTTP API", 1e-6, "request", _GATEWAY),
    "push_minutes": Price("connections that hear of changes", 2.5e-7, "minute", _GATEWAY),
    "push_messages": Price("messages over them", 1e-6, "message", _GATEWAY),
    "lambda_requests": Price("runs of functions", 2e-7, "run", _LAMBDA, 1_000_000),
    "lambda_time": Price("time of functions", 1.33334e-5, "GB-second", _LAMBDA, 400_000),
    "dynamodb_write": Price("table, written", 6.25e-7, "unit", _DYNAMODB),
    "dynamodb_read": Price("table, read", 1.25e-7, "unit", _DYNAMODB),
    "dynamodb_storage": Price("table, stored", 0.25, "GB", _DYNAMODB, 25),
    "dynamodb_backup": Price("table, point-in-time recovery", 0.20, "GB", _DYNAMODB),
    "sqs": Price("requests to the queue", 4e-7, "request", "https://aws.amazon.com/sqs/pricing/", 1_000_000),
    "logs": Price("logs, taken in", 0.50, "GB", _CLOUDWATCH, 5),
    "metrics": Price("metrics of its own", 0.30, "metric", _CLOUDWATCH, 10),
    "alarms": Price("alarms", 0.10, "alarm", _CLOUDWATCH, 10),
    "dashboards": Price("dashboards", 3.00, "dashboard", _CLOUDWATCH, 3),
    "users": Price("people who signed in", 0.015, "person", _COGNITO, 10_000),
    "users_plus": Price("people who signed in, with threat protection", 0.02, "person", _COGNITO),
    "traces": Price("traces", 5e-6, "trace", "https://aws.amazon.com/xray/pricing/", 100_000),
    "kms_keys": Price("your KMS key", 1.00, "key", _KMS),
    "kms_requests": Price("requests to KMS", 3e-6, "request", _KMS, 20_000),
    "web_acls": Price("your web ACL, without its rules ($1 each)", 5.00, "web ACL", _WAF),
    "web_acl_requests": Price("requests that the web ACL looks at", 6e-7, "request", _WAF),
}

OPTIONS = {
    "WebAclArn": "$5 a month for the web ACL, $1 for each of its rules, $0.60 per million requests",
    "KmsKeyArn": "$1 a month for the key, $0.03 per 10,000 requests beyond 20,000",
    "LogKmsKeyArn": "$1 a month for the key, $0.03 per 10,000 requests beyond 20,000",
    "ThreatProtection": "$0.02 per person who signs in that month, with no free ones",
    "Federation": "$0.015 per person who signs in by it beyond 50 a month",
    "MailIdentityArn": "$0.10 per 1,000 mails",
    "AccessLogBucket": "what is written there, stored at $0.023 per GB and month",
    "Tracing": "$5 per million requests beyond 100,000 a month",
    "Alarms": "nothing for the first such deployment of an account; $4 a month for each further one",
    "LogDays": "$0.03 per GB and month of logs kept",
    "JanitorSchedule": "its runs; one a minute is still within what Lambda gives for nothing",
    "BudgetUsd": "nothing",
    "ReservedConcurrency": "nothing",
    "TrafficShift": "nothing",
}
"""What choosing a parameter adds."""
