"""Puts right what moto 5.2.5 does otherwise than AWS and this configuration would stumble over.

Without it, every plan after an apply would show changes that are moto's. Nothing here makes up a value: what was sent is
kept, and given back.
"""

from functools import wraps

from moto.autoscaling import models as autoscaling
from moto.autoscaling.responses import AutoScalingResponse
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ec2.responses.launch_templates import LaunchTemplates

# Settings of a group that moto does not keep, or not when they are changed; with the type of a number or a switch.
GROUP = {
    "DefaultInstanceWarmup": ("default_instance_warmup", int),
    "InstanceMaintenancePolicy": ("instance_maintenance_policy", dict),
    "CapacityRebalance": ("capacity_rebalance", lambda value: str(value).lower() == "true"),
}


def after(owner: type, name: str):
    """Runs the decorated function after a method, with its object."""
    original = getattr(owner, name)

    def decorate(then):
        @wraps(original)
        def method(self, *args, **kwargs):
            result = original(self, *args, **kwargs)
            then(self)
            return result

        setattr(owner, name, method)
        return then

    return decorate


@after(AutoScalingResponse, "create_auto_scaling_group")
@after(AutoScalingResponse, "update_auto_scaling_group")
def keep_settings(response):
    sent = response._get_params()
    group = response.autoscaling_backend.autoscaling_groups[sent["AutoScalingGroupName"]]
    for parameter, (attribute, kind) in GROUP.items():
        if parameter in sent:
            setattr(group, attribute, kind(sent[parameter]))


# A policy is on unless it was turned off, and has no configuration of the kind that it is not.
@after(autoscaling.FakeScalingPolicy, "__init__")
def complete(policy):
    policy.enabled = True
    policy.predictive_scaling_configuration = policy.predictive_scaling_configuration or None


# A rule between two groups has a description as well.
SecurityGroupRule.description = property(
    lambda rule: rule.ip_range.get("Description") or rule.source_group.get("Description")
)


# Tags of the template itself are no part of its versions: moto adds them to what these say.
@after(LaunchTemplates, "create_launch_template")
def separate(response):
    template = response.ec2_backend.get_launch_template_by_name(response._get_param("LaunchTemplateName"))
    for version in template.versions:
        specs = version.data.get("TagSpecifications", [])
        specs[:] = [spec for spec in specs if spec["ResourceType"] != "launch-template"]
