"""The HTTP API: a route for each path in openapi.json and a twin for its trailing slash, guarded by the route's scopes."""

import json

import aws_cdk as cdk
import jsii
from aws_cdk import aws_apigatewayv2 as apigw
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_logs as logs
from constructs import Construct

from cdk.compute import Deployed
from cdk.identity import Identity
from cdk.logs import log_group
from cdk.settings import Settings

CORS_HEADERS = ["authorization", "content-type", "idempotency-key", "if-match", "if-none-match"]
CORS_EXPOSED = ["etag", "location", "idempotency-replayed", "retry-after"]
CORS_MINUTES = 5
# No e-mail address, no query string, no token: what a client looked for is nobody's business.
ACCESS_LOG = {
    "requestId": "$context.requestId",
    "time": "$context.requestTime",
    "routeKey": "$context.routeKey",
    "status": "$context.status",
    "latency": "$context.responseLatency",
    "integrationLatency": "$context.integrationLatency",
    "integrationError": "$context.integrationErrorMessage",
    "authorizerError": "$context.authorizer.error",
    "sourceIp": "$context.identity.sourceIp",
    "responseLength": "$context.responseLength",
}


@jsii.implements(apigw.IAccessLogSettings)
class _AccessLogs:
    def __init__(self, group: logs.LogGroup) -> None:
        self._group = group

    @property
    def destination(self) -> apigw.IAccessLogDestination:
        return apigw.LogGroupLogDestination(self._group)

    @property
    def format(self) -> cdk.aws_apigateway.AccessLogFormat:
        return cdk.aws_apigateway.AccessLogFormat.custom(json.dumps(ACCESS_LOG))


class Api(Construct):
    def __init__(
        self, scope: Construct, construct_id: str, settings: Settings, identity: Identity, functions: list[Deployed]
    ) -> None:
        super().__init__(scope, construct_id)
        methods = [apigw.CorsHttpMethod(name) for name in ("GET", "POST", "PATCH", "DELETE", "OPTIONS")]
        cors = apigw.CorsPreflightOptions(
            allow_origins=list(settings.cors_origins),
            allow_methods=methods,
            allow_headers=CORS_HEADERS,
            expose_headers=CORS_EXPOSED,
            max_age=cdk.Duration.minutes(CORS_MINUTES),
        )
        self.http = apigw.HttpApi(
            self,
            "Http",
            api_name=f"orders-{settings.stage}",
            create_default_stage=False,
            cors_preflight=cors if settings.cors_origins else None,
        )
        self.stage = apigw.HttpStage(
            self,
            "Stage",
            http_api=self.http,
            stage_name="$default",
            auto_deploy=True,
            throttle=apigw.ThrottleSettings(rate_limit=settings.requests_per_second, burst_limit=settings.burst),
            access_log_settings=_AccessLogs(log_group(self, "AccessLogs", settings.log_days)),
            detailed_metrics_enabled=True,
        )
        authorizer = identity.authorizer()
        for deployed in functions:
            integration = integrations.HttpLambdaIntegration(
                deployed.function.name, deployed.alias, scope_permission_to_route=False
            )
            for route in deployed.function.routes:
                for path in (route.path, f"{route.path}/{{proxy+}}"):
                    self.http.add_routes(
                        path=path,
                        methods=[apigw.HttpMethod(route.method)],
                        integration=integration,
                        authorizer=authorizer if route.scopes else apigw.HttpNoneAuthorizer(),
                        authorization_scopes=list(route.scopes) or None,
                    )
