"""Who may call: a user pool with the scopes of the routes, or any other issuer of JWTs.

The pool exists and is exported either way. CloudFormation removes no export that another stack still uses, and that stack
is deployed later: otherwise a live stage could never change its issuer, in either direction.
"""

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_cognito as cognito
from constructs import Construct

from cdk.settings import Settings
from contract.edge import CLI_CALLBACK, CONSOLE_CALLBACK

# A person signs in again each day; meanwhile the page renews its token each hour.
TOKEN_HOURS, SIGN_IN_HOURS = 1, 12


class Identity(Construct):
    def __init__(self, scope: Construct, construct_id: str, settings: Settings, scopes: set[str]) -> None:
        """scopes: as the routes name them, `<resource>/<right>`."""
        super().__init__(scope, construct_id)
        self.settings, self.scopes = settings, sorted(scopes)
        self.pool = pool = cognito.UserPool(
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
        prefix = f"orders-{settings.stage}-{cdk.Aws.ACCOUNT_ID}"
        domain = pool.add_domain("Domain", cognito_domain=cognito.CognitoDomainOptions(domain_prefix=prefix))
        self.pages = f"https://{prefix}.auth.{cdk.Aws.REGION}.amazoncognito.com"
        machine = pool.add_client(
            "Machine",
            generate_secret=True,
            access_token_validity=cdk.Duration.hours(1),
            o_auth=cognito.OAuthSettings(
                flows=cognito.OAuthFlows(client_credentials=True), scopes=[scope for server in granted for scope in server]
            ),
        )
        stack = cdk.Stack.of(self)
        for value in (pool.user_pool_provider_url, machine.user_pool_client_id, pool.user_pool_id):
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

    def console(self, scope: Construct, urls: list[str]) -> str:
        """Adds the client of the console and `orders login`, for the service at its URLs; its id.

        It belongs to the stack that knows the URL. People sign in on the pool's pages and come back with a code, for which the
        console gets tokens with its verifier: what runs in a browser, or on many machines, can keep no secret.
        """
        client = cognito.UserPoolClient(
            scope,
            "Console",
            user_pool=self.pool,
            generate_secret=False,
            supported_identity_providers=[cognito.UserPoolClientIdentityProvider.COGNITO],
            prevent_user_existence_errors=True,
            # Left out, it would allow refreshing by the pool's own API, which Cognito refuses beside rotation.
            auth_flows=cognito.AuthFlow(user_srp=True),
            access_token_validity=cdk.Duration.hours(TOKEN_HOURS),
            id_token_validity=cdk.Duration.hours(TOKEN_HOURS),
            refresh_token_validity=cdk.Duration.hours(SIGN_IN_HOURS),
            # Each refresh token works once; within the grace period an answer that was lost can be asked for again.
            refresh_token_rotation_grace_period=cdk.Duration.seconds(30),
            o_auth=cognito.OAuthSettings(
                flows=cognito.OAuthFlows(authorization_code_grant=True),
                scopes=[cognito.OAuthScope.custom(name) for name in self.scopes],
                callback_urls=[*(f"{url}{CONSOLE_CALLBACK}" for url in urls), CLI_CALLBACK],
                logout_urls=[f"{url}/" for url in urls],
            ),
        )
        return client.user_pool_client_id

    def sign_in(self, console: str | None) -> dict[str, str]:
        """What the pages need to know, as variables. console: the id of its client, if the pool issues the tokens."""
        if console is None:
            settings = self.settings
            return {
                "OAUTH_ISSUER": self.issuer,
                "OAUTH_AUTHORIZE_URL": settings.jwt_authorize_url or "",
                "OAUTH_TOKEN_URL": settings.jwt_token_url or "",
                "OAUTH_LOGOUT_URL": "",
                "OAUTH_CLIENT_ID": settings.jwt_console_client or "",
            }
        return {
            "OAUTH_ISSUER": self.issuer,
            "OAUTH_AUTHORIZE_URL": f"{self.pages}/oauth2/authorize",
            "OAUTH_TOKEN_URL": f"{self.pages}/oauth2/token",
            "OAUTH_LOGOUT_URL": f"{self.pages}/logout",
            "OAUTH_CLIENT_ID": console,
        }

    def authorizer(self, console: str | None) -> authorizers.HttpJwtAuthorizer:
        audiences = [self.audience, *([console] if console else [])]
        return authorizers.HttpJwtAuthorizer("Jwt", self.issuer, jwt_audience=audiences)

    def _resource_server(self, pool: cognito.UserPool, resource: str, scopes: set[str]) -> list[cognito.OAuthScope]:
        rights = sorted(scope.partition("/")[2] for scope in scopes if scope.startswith(f"{resource}/"))
        declared = [cognito.ResourceServerScope(scope_name=right, scope_description=f"{right} {resource}") for right in rights]
        server = pool.add_resource_server(resource.capitalize(), identifier=resource, scopes=declared)
        return [cognito.OAuthScope.resource_server(server, scope) for scope in declared]
