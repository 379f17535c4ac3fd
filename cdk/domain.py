"""The API under a name of one's own: a certificate that renews itself, and records in a hosted zone that exists."""

from aws_cdk import aws_apigatewayv2 as apigw
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from constructs import Construct

from cdk.api import Api
from cdk.settings import PublicName


class Domain(Construct):
    def __init__(self, scope: Construct, construct_id: str, public: PublicName, api: Api) -> None:
        super().__init__(scope, construct_id)
        # Only the zone's id matters, as every record in it is named in full; looking the zone up would take an account.
        zone = route53.HostedZone.from_hosted_zone_attributes(
            self, "Zone", hosted_zone_id=public.hosted_zone, zone_name=public.domain
        )
        # CloudFormation writes the record that proves ownership, and waits until the certificate is issued.
        certificate = acm.Certificate(
            self, "Certificate", domain_name=public.domain, validation=acm.CertificateValidation.from_dns(zone)
        )
        name = apigw.DomainName(
            self,
            "Name",
            domain_name=public.domain,
            certificate=certificate,
            security_policy=apigw.SecurityPolicy.TLS_1_2,
            ip_address_type=apigw.IpAddressType.DUAL_STACK,
        )
        mapping = apigw.ApiMapping(self, "Mapping", api=api.http, domain_name=name, stage=api.stage)
        target = route53.RecordTarget.from_alias(
            targets.ApiGatewayv2DomainProperties(name.regional_domain_name, name.regional_hosted_zone_id)
        )
        for record in (
            route53.ARecord(self, "V4", zone=zone, target=target),
            route53.AaaaRecord(self, "V6", zone=zone, target=target),
        ):
            # Whoever finds the name also finds the API behind it.
            record.node.add_dependency(mapping)
        self.url = f"https://{public.domain}"
