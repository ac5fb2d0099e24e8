//! What puts a finding right, as a command, or in templates that else undo it.

use super::{Finding, Kind};

/// In which form.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, strum::Display, strum::EnumString, strum::EnumIter,
)]
#[strum(serialize_all = "snake_case")]
pub enum Form {
    #[default]
    Cli,
    Terraform,
    Cloudformation,
}

/// The remedy of a finding in a cluster.
pub fn fix(cluster: &str, finding: &Finding, form: Form) -> String {
    let template = match form {
        Form::Cli => None,
        Form::Terraform => terraform(finding),
        Form::Cloudformation => cloudformation(finding),
    };
    template.map_or_else(|| cli(cluster, finding), str::to_owned)
}

fn cli(cluster: &str, finding: &Finding) -> String {
    let subject = &finding.subject;
    match finding.kind {
        Kind::PermissionLacking => {
            "tidegate export iam --config FILE, and attach the policy it prints".to_owned()
        }
        Kind::NotSeen => "run it again; what stays is told by the message".to_owned(),
        Kind::PoolMissing => "correct its name or the Region in the configuration".to_owned(),
        Kind::ManagedScaling => {
            format!("tidegate handover --cluster {cluster} --pool {subject} --apply")
        }
        Kind::ScalingPolicy => format!(
            "aws autoscaling suspend-processes --auto-scaling-group-name {subject} \
             --scaling-processes AlarmNotification"
        ),
        Kind::ScheduledAction => format!(
            "aws autoscaling describe-scheduled-actions --auto-scaling-group-name {subject}, and \
             delete what should not size it"
        ),
        Kind::InstanceRefresh => "wait for its end".to_owned(),
        Kind::TerminateHook => format!(
            "aws autoscaling describe-lifecycle-hooks --auto-scaling-group-name {subject}, and \
             delete the hook if only a drain hangs on it"
        ),
        Kind::WarmPool => {
            format!("aws autoscaling delete-warm-pool --auto-scaling-group-name {subject}")
        }
        Kind::ScalableTarget => "nothing, unless a scheduled action lowers it meanwhile".to_owned(),
        Kind::NativeRules => {
            "set the deployment strategy of the service to ROLLING, or leave its traffic to ECS"
                .to_owned()
        }
        Kind::Unprotected => "nothing; it is done before the first removal".to_owned(),
        Kind::ZonesRebalanced => format!(
            "aws autoscaling suspend-processes --auto-scaling-group-name {subject} \
             --scaling-processes AZRebalance"
        ),
        Kind::RuleQuota => "have the quota raised, or delete rules that get no request".to_owned(),
        Kind::SlowDeregistration => format!(
            "aws elbv2 modify-target-group-attributes --target-group-arn {subject} \
             --attributes Key=deregistration_delay.timeout_seconds,Value=30"
        ),
        Kind::ClockSkew => "let a time service set the clock".to_owned(),
        Kind::FleetingState => {
            "put --state on a volume that outlives the container, or the journal in a table"
                .to_owned()
        }
        Kind::NoQueue => "name a queue under `queue` in the configuration".to_owned(),
        Kind::NoStopSwitch => "name a parameter under `stop_parameter`".to_owned(),
    }
}

/// What the group's resource has to say so that the next apply undoes nothing.
fn terraform(finding: &Finding) -> Option<&'static str> {
    Some(match finding.kind {
        Kind::ManagedScaling | Kind::ScalingPolicy | Kind::ZonesRebalanced => {
            "suspended_processes = [\"AlarmNotification\", \"AZRebalance\"]\n\
             lifecycle { ignore_changes = [desired_capacity] }"
        }
        Kind::Unprotected => {
            "protect_from_scale_in = true\nlifecycle { ignore_changes = [desired_capacity] }"
        }
        Kind::ScalableTarget => "lifecycle { ignore_changes = [desired_count] }",
        Kind::SlowDeregistration => "deregistration_delay = 30",
        _ => return None,
    })
}

/// Templates cannot ignore a property: it is left out.
fn cloudformation(finding: &Finding) -> Option<&'static str> {
    Some(match finding.kind {
        Kind::ManagedScaling | Kind::ScalingPolicy | Kind::ZonesRebalanced => {
            "leave DesiredCapacity out; UpdatePolicy:\n  AutoScalingRollingUpdate:\n    \
             SuspendProcesses: [AlarmNotification, AZRebalance]"
        }
        Kind::Unprotected => "leave DesiredCapacity out; NewInstancesProtectedFromScaleIn: true",
        Kind::ScalableTarget => "leave DesiredCount out of the service",
        Kind::SlowDeregistration => {
            "TargetGroupAttributes:\n  - { Key: deregistration_delay.timeout_seconds, Value: 30 }"
        }
        _ => return None,
    })
}
