"""Who may call: a user pool with the scopes of the routes, or any other issuer of JWTs.

The pool exists and is exported either way. CloudFormation removes no export that another stack still uses, and that stack
is deployed later: otherwise a live stage could never change its issuer, in either direction.
"""

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_cognito as cognito
from constructs import Construct

from cdk.settings import Settings


class Identity(Construct):
    def __init__(self, scope: Construct, construct_id: str, settings: Settings, scopes: set[str]) -> None:
        """scopes: as the routes name them, `<resource>/<right>`."""
        super().__init__(scope, construct_id)
        pool = cognito.UserPool(
            self,
            "Users",
            self_sign_up_enabled=False,
            sign_in_aliases=cognito.SignInAliases(email=True),
            password_policy=cognito.PasswordPolicy(
                min_length=14, require_digits=True, require_lowercase=True, require_symbols=True, require_uppercase=True
            ),
            mfa=cognito.Mfa.REQUIRED,
            mfa_second_factor=cognito.MfaSecondFactor(otp=True, sms=False),
            # Plus adds protection against stolen passwords, at a price per user.
            feature_plan=cognito.FeaturePlan.PLUS if settings.protect else cognito.FeaturePlan.ESSENTIALS,
            standard_threat_protection_mode=cognito.StandardThreatProtectionMode.FULL_FUNCTION if settings.protect else None,
            deletion_protection=settings.protect,
            removal_policy=cdk.RemovalPolicy.RETAIN if settings.protect else cdk.RemovalPolicy.DESTROY,
        )
        granted = [self._resource_server(pool, resource, scopes) for resource in sorted({s.partition("/")[0] for s in scopes})]
        account = cdk.Aws.ACCOUNT_ID
        domain = pool.add_domain(
            "Domain", cognito_domain=cognito.CognitoDomainOptions(domain_prefix=f"orders-{settings.stage}-{account}")
        )
        machine = pool.add_client(
            "Machine",
            generate_secret=True,
            access_token_validity=cdk.Duration.hours(1),
            o_auth=cognito.OAuthSettings(
                flows=cognito.OAuthFlows(client_credentials=True), scopes=[scope for server in granted for scope in server]
            ),
        )
        stack = cdk.Stack.of(self)
        for value in (pool.user_pool_provider_url, machine.user_pool_client_id):
            stack.export_value(value)
        # What a person needs to get the first token; see docs/first-deployment.md.
        for name, value in (
            ("TokenUrl", f"{domain.base_url()}/oauth2/token"),
            ("UserPoolId", pool.user_pool_id),
            ("ClientId", machine.user_pool_client_id),
        ):
            cdk.CfnOutput(stack, name, value=value, description="See docs/first-deployment.md")
        self.issuer = settings.jwt_issuer or pool.user_pool_provider_url
        self.audience = settings.jwt_audience or machine.user_pool_client_id

    def authorizer(self) -> authorizers.HttpJwtAuthorizer:
        return authorizers.HttpJwtAuthorizer("Jwt", self.issuer, jwt_audience=[self.audience])

    def _resource_server(self, pool: cognito.UserPool, resource: str, scopes: set[str]) -> list[cognito.OAuthScope]:
        rights = sorted(scope.partition("/")[2] for scope in scopes if scope.startswith(f"{resource}/"))
        declared = [cognito.ResourceServerScope(scope_name=right, scope_description=f"{right} {resource}") for right in rights]
        server = pool.add_resource_server(resource.capitalize(), identifier=resource, scopes=declared)
        return [cognito.OAuthScope.resource_server(server, scope) for scope in declared]
