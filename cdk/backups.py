"""Backups in addition to RDS's own: snapshots by AWS Backup, each copied to a vault in another region."""

import aws_cdk as cdk
from aws_cdk import aws_backup as backup
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from cdk.settings import Settings

# A lost region costs what was written since the last copied snapshot: this interval, plus the time to copy.
SNAPSHOT_HOURS, SNAPSHOT_MINUTE = 6, 15
START_HOURS = 1
KEEP_DAYS = 14


class CopiesStack(cdk.Stack):
    """The vault in the other region. It exists before anything is copied to it, and outlives its stack."""

    def __init__(self, scope: Construct, construct_id: str, settings: Settings, **options: object) -> None:
        super().__init__(scope, construct_id, env=cdk.Environment(region=settings.backup_region), **options)  # type: ignore[arg-type]
        _vault(self, "Copies", _name_of_copies(settings))


class Backups(Construct):
    def __init__(self, scope: Construct, construct_id: str, settings: Settings, database_arn: str) -> None:
        super().__init__(scope, construct_id)
        vaults = f"arn:{cdk.Aws.PARTITION}:backup:{settings.backup_region}:{cdk.Aws.ACCOUNT_ID}:backup-vault"
        copies = f"{vaults}:{_name_of_copies(settings)}"
        copy = backup.BackupPlanCopyActionProps(
            destination_backup_vault=backup.BackupVault.from_backup_vault_arn(self, "Copies", copies),
            delete_after=cdk.Duration.days(KEEP_DAYS),
        )
        rule = backup.BackupPlanRule(
            schedule_expression=events.Schedule.cron(minute=str(SNAPSHOT_MINUTE), hour=f"*/{SNAPSHOT_HOURS}"),
            start_window=cdk.Duration.hours(START_HOURS),
            completion_window=cdk.Duration.hours(SNAPSHOT_HOURS - 1),
            delete_after=cdk.Duration.days(KEEP_DAYS),
            copy_actions=[copy] if settings.backup_region else None,
        )
        plan = backup.BackupPlan(self, "Plan", backup_vault=_vault(self, "Vault", _name(settings)), backup_plan_rules=[rule])
        # The permissions that a backup needs change with the service, so AWS's own policy is used.
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("backup.amazonaws.com"),
            managed_policies=[
                iam.ManagedPolicy.from_aws_managed_policy_name("service-role/AWSBackupServiceRolePolicyForBackup")
            ],
        )
        plan.add_selection(
            "Database",
            resources=[backup.BackupResource.from_arn(database_arn)],
            role=role,
            disable_default_backup_policy=True,
        )


def tell_of_failures(scope: Construct, settings: Settings, topic: sns.ITopic) -> None:
    """A message where AWS Backup says that a snapshot, or a copy, failed. Nothing else would notice until one is needed.

    It may lose such an event, and a job that was never begun sends none.
    """
    vault = f"arn:{cdk.Aws.PARTITION}:backup:{cdk.Aws.REGION}:{cdk.Aws.ACCOUNT_ID}:backup-vault:{_name(settings)}"
    what = events.EventField.from_path("$.detail-type")
    state, cause = (events.EventField.from_path(f"$.detail.{field}") for field in ("state", "statusMessage"))
    text = f"orders-{settings.stage}: {what} to {state}. {cause} What to do: {settings.runbook}#backup-failed"
    events.Rule(
        scope,
        "BackupFailed",
        description="A snapshot of the database, or its copy in the other region, was not made.",
        event_pattern=events.EventPattern(
            source=["aws.backup"],
            detail_type=["Backup Job State Change", "Copy Job State Change"],
            detail={
                "state": ["ABORTED", "EXPIRED", "FAILED"],
                "$or": [{"backupVaultName": [_name(settings)]}, {"sourceBackupVaultArn": [vault]}],
            },
        ),
        targets=[targets.SnsTopic(topic, message=events.RuleTargetInput.from_text(text))],
    )


def _name(settings: Settings) -> str:
    return f"orders-{settings.stage}"


def _name_of_copies(settings: Settings) -> str:
    """Another one, so that the stage can be deployed to where its copies are, should its own region be lost."""
    return f"{_name(settings)}-copies"


def _vault(scope: Construct, construct_id: str, name: str) -> backup.BackupVault:
    return backup.BackupVault(
        scope,
        construct_id,
        backup_vault_name=name,
        # Snapshots only expire; nobody can delete them.
        block_recovery_point_deletion=True,
        removal_policy=cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    )
