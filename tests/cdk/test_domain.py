"""A name of one's own for the API: -c domain=orders.example.com -c hosted_zone=…"""

import json

import pytest
from cdk_nag import AwsSolutionsChecks, NIST80053R5Checks

from cdk.settings import from_context
from tests.cdk.conftest import DOMAIN, ZONE, Synthesized

FUNCTION = "AWS::Lambda::Function"


def test_the_certificate_proves_and_renews_itself_in_the_hosted_zone(named: Synthesized) -> None:
    [certificate] = [c["Properties"] for c in named.resources("AWS::CertificateManager::Certificate").values()]
    assert (certificate["DomainName"], certificate["ValidationMethod"]) == (DOMAIN, "DNS")
    assert certificate["DomainValidationOptions"] == [{"DomainName": DOMAIN, "HostedZoneId": ZONE}]


def test_the_name_leads_to_the_api_by_both_protocols_and_modern_tls_only(named: Synthesized) -> None:
    [(name, resource)] = named.resources("AWS::ApiGatewayV2::DomainName").items()
    [configuration] = resource["Properties"]["DomainNameConfigurations"]
    assert (configuration["SecurityPolicy"], configuration["IpAddressType"]) == ("TLS_1_2", "dualstack")
    [mapping] = [m["Properties"] for m in named.resources("AWS::ApiGatewayV2::ApiMapping").values()]
    assert mapping["DomainName"] == {"Ref": name.partition("/")[2]}
    # Paths are the same as at the API's own address.
    assert "ApiMappingKey" not in mapping
    records = [record["Properties"] for record in named.resources("AWS::Route53::RecordSet").values()]
    assert sorted(record["Type"] for record in records) == ["A", "AAAA"]
    for record in records:
        assert (record["Name"], record["HostedZoneId"]) == (f"{DOMAIN}.", ZONE)
        assert record["AliasTarget"]["DNSName"] == {"Fn::GetAtt": [name.partition("/")[2], "RegionalDomainName"]}


def test_the_health_check_takes_the_way_that_clients_take(named: Synthesized, prod: Synthesized) -> None:
    for stage, expected in ((named, json.dumps(f"https://{DOMAIN}")), (prod, "ApiEndpoint")):
        variables = [f["Properties"].get("Environment", {}).get("Variables", {}) for f in stage.resources(FUNCTION).values()]
        [url] = [json.dumps(v["PUBLIC_URL"]) for v in variables if "PUBLIC_URL" in v]
        assert expected in url


def test_a_name_changes_nothing_that_holds_data(named: Synthesized, prod: Synthesized) -> None:
    """So that a live stage can take a name, change it and drop it."""
    assert named.stacks["Data"] == prod.stacks["Data"]
    gone = prod.stacks["Api"].keys() - named.stacks["Api"].keys()
    # The health check's function has another variable, hence another version.
    assert all("checkhealth" in name for name in gone)


def test_a_named_stage_has_no_further_findings(named: Synthesized) -> None:
    for pack in (AwsSolutionsChecks, NIST80053R5Checks):
        report = pack().validate_scope(named.app)
        assert {v.rule_name: [r.construct_path for r in v.violating_resources] for v in report.violations} == {}


@pytest.mark.parametrize(
    "context",
    [
        {"domain": DOMAIN},
        {"hosted_zone": ZONE},
        {"domain": "https://orders.example.com", "hosted_zone": ZONE},
        {"domain": "Orders.example.com", "hosted_zone": ZONE},
        {"domain": DOMAIN, "hosted_zone": "example.com"},
    ],
    ids=str,
)
def test_a_name_without_its_zone_or_of_another_form_is_refused(context: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"-c (domain|hosted_zone)="):
        from_context(context)
