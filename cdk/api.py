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
from contract.edge import CORS_EXPOSED, CORS_HEADERS, CORS_MAX_AGE_SECONDS, CORS_METHODS

# No e-mail address, query string or token: what a client searched for is private.
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
        methods = [apigw.CorsHttpMethod(name) for name in CORS_METHODS]
        cors = apigw.CorsPreflightOptions(
            allow_origins=list(settings.cors_origins),
            allow_methods=methods,
            allow_headers=list(CORS_HEADERS),
            expose_headers=list(CORS_EXPOSED),
            max_age=cdk.Duration.seconds(CORS_MAX_AGE_SECONDS),
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
        )
        named = [f"https://{settings.public_name.domain}"] if settings.public_name else []
        urls = [self.http.api_endpoint, *named]
        console = None if settings.jwt_issuer else identity.console(self, urls)
        self.sign_in = identity.sign_in(console)
        self._authorizer = identity.authorizer(console)
        routes = self.add_routes(self.http, functions)
        self._throttle_open_routes(settings, [route for route, scopes in routes if not scopes])

    def add_routes(self, scope: Construct, functions: list[Deployed]) -> list[tuple[apigw.HttpRoute, tuple[str, ...]]]:
        """The routes that lead to these functions, in the stack of `scope`, each with its scopes."""
        routes = []
        for deployed in functions:
            integration = integrations.HttpLambdaIntegration(
                deployed.function.name, deployed.alias, scope_permission_to_route=False
            )
            for route in deployed.function.routes:
                for path in route.paths:
                    added = apigw.HttpRoute(
                        scope,
                        f"{route.method}{path}",
                        http_api=self.http,
                        route_key=apigw.HttpRouteKey.with_(path, apigw.HttpMethod(route.method)),
                        integration=integration,
                        authorizer=self._authorizer if route.scopes else apigw.HttpNoneAuthorizer(),
                        authorization_scopes=list(route.scopes) or None,
                    )
                    routes.append((added, route.scopes))
        return routes

    def _throttle_open_routes(self, settings: Settings, open_routes: list[apigw.HttpRoute]) -> None:
        stage = self.stage.node.default_child
        assert isinstance(stage, apigw.CfnStage)
        throttle = {"ThrottlingRateLimit": settings.open_requests_per_second, "ThrottlingBurstLimit": settings.open_burst}
        stage.route_settings = {_key(route): throttle for route in open_routes}
        for route in open_routes:
            # API Gateway rejects settings for a route that does not exist yet.
            self.stage.node.add_dependency(route)


def _key(route: apigw.HttpRoute) -> str:
    resource = route.node.default_child
    assert isinstance(resource, apigw.CfnRoute)
    return resource.route_key
