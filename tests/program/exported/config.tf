resource "aws_iam_policy" "tidegate_observe" {
  name        = "tidegate-observe"
  description = "What Tidegate needs to look."
  policy      = <<-JSON
    {
      "Version": "2012-10-17",
      "Statement": [
        {
          "Sid": "LookAnywhere",
          "Effect": "Allow",
          "Action": [
            "application-autoscaling:DescribeScalableTargets",
            "autoscaling:DescribeAutoScalingGroups",
            "autoscaling:DescribeAutoScalingInstances",
            "autoscaling:DescribeInstanceRefreshes",
            "autoscaling:DescribeLaunchConfigurations",
            "autoscaling:DescribeLifecycleHooks",
            "autoscaling:DescribePolicies",
            "autoscaling:DescribeScheduledActions",
            "cloudwatch:GetMetricData",
            "ec2:DescribeInstanceTypes",
            "ec2:DescribeInstances",
            "ec2:DescribeLaunchTemplateVersions",
            "ec2:DescribeSpotFleetRequests",
            "ecs:DescribeTaskDefinition",
            "elasticloadbalancing:DescribeListeners",
            "elasticloadbalancing:DescribeLoadBalancers",
            "elasticloadbalancing:DescribeRules",
            "elasticloadbalancing:DescribeTags",
            "elasticloadbalancing:DescribeTargetGroupAttributes",
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetHealth"
          ],
          "Resource": [
            "*"
          ]
        },
        {
          "Sid": "LookAtCluster",
          "Effect": "Allow",
          "Action": [
            "ecs:DescribeClusters",
            "ecs:ListContainerInstances"
          ],
          "Resource": [
            "arn:${data.aws_partition.current.partition}:ecs:${data.aws_region.current.region}:111122223333:cluster/back",
            "arn:aws:ecs:eu-west-1:111122223333:cluster/shop"
          ]
        },
        {
          "Sid": "LookInCluster",
          "Effect": "Allow",
          "Action": [
            "ecs:DescribeContainerInstances",
            "ecs:DescribeServices",
            "ecs:DescribeTasks",
            "ecs:GetTaskProtection",
            "ecs:ListTasks"
          ],
          "Resource": [
            "arn:${data.aws_partition.current.partition}:ecs:${data.aws_region.current.region}:111122223333:container-instance/back/*",
            "arn:${data.aws_partition.current.partition}:ecs:${data.aws_region.current.region}:111122223333:service/back/*",
            "arn:${data.aws_partition.current.partition}:ecs:${data.aws_region.current.region}:111122223333:task/back/*",
            "arn:aws:ecs:eu-west-1:111122223333:container-instance/shop/*",
            "arn:aws:ecs:eu-west-1:111122223333:service/shop/*",
            "arn:aws:ecs:eu-west-1:111122223333:task/shop/*"
          ],
          "Condition": {
            "ArnEquals": {
              "ecs:cluster": [
                "arn:${data.aws_partition.current.partition}:ecs:${data.aws_region.current.region}:111122223333:cluster/back",
                "arn:aws:ecs:eu-west-1:111122223333:cluster/shop"
              ]
            }
          }
        },
        {
          "Sid": "LookForServices",
          "Effect": "Allow",
          "Action": [
            "ecs:ListServices"
          ],
          "Resource": [
            "*"
          ],
          "Condition": {
            "ArnEquals": {
              "ecs:cluster": [
                "arn:${data.aws_partition.current.partition}:ecs:${data.aws_region.current.region}:111122223333:cluster/back",
                "arn:aws:ecs:eu-west-1:111122223333:cluster/shop"
              ]
            }
          }
        },
        {
          "Sid": "LookAtProviders",
          "Effect": "Allow",
          "Action": [
            "ecs:DescribeCapacityProviders"
          ],
          "Resource": [
            "arn:${data.aws_partition.current.partition}:ecs:${data.aws_region.current.region}:111122223333:capacity-provider/*",
            "arn:aws:ecs:eu-west-1:111122223333:capacity-provider/*"
          ]
        },
        {
          "Sid": "LookAtFleets",
          "Effect": "Allow",
          "Action": [
            "ec2:DescribeSpotFleetInstances"
          ],
          "Resource": [
            "arn:aws:ec2:eu-west-1:111122223333:spot-fleet-request/sfr-73fbd2ce-aa30-494c-8788-1cee4EXAMPLE"
          ]
        },
        {
          "Sid": "LookAtAlarms",
          "Effect": "Allow",
          "Action": [
            "cloudwatch:DescribeAlarms"
          ],
          "Resource": [
            "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:shop-errors"
          ]
        },
        {
          "Sid": "EnterScopes",
          "Effect": "Allow",
          "Action": [
            "sts:AssumeRole"
          ],
          "Resource": [
            "arn:aws:iam::222222222222:role/tidegate"
          ]
        }
      ]
    }
  JSON
}

resource "aws_iam_policy" "tidegate_scale_out" {
  name        = "tidegate-scale-out"
  description = "What Tidegate needs to raise the size of pools."
  policy      = <<-JSON
    {
      "Version": "2012-10-17",
      "Statement": [
        {
          "Sid": "SizeGroups",
          "Effect": "Allow",
          "Action": [
            "autoscaling:SetDesiredCapacity"
          ],
          "Resource": [
            "arn:aws:autoscaling:eu-west-1:111122223333:autoScalingGroup:*:autoScalingGroupName/shop-mixed"
          ]
        },
        {
          "Sid": "SizeFleets",
          "Effect": "Allow",
          "Action": [
            "ec2:ModifySpotFleetRequest"
          ],
          "Resource": [
            "arn:aws:ec2:eu-west-1:111122223333:spot-fleet-request/sfr-73fbd2ce-aa30-494c-8788-1cee4EXAMPLE"
          ]
        },
        {
          "Sid": "NeverRelabel",
          "Effect": "Deny",
          "Action": [
            "autoscaling:CreateOrUpdateTags",
            "autoscaling:DeleteTags",
            "ec2:CreateTags",
            "ec2:DeleteTags",
            "elasticloadbalancing:AddTags",
            "elasticloadbalancing:RemoveTags"
          ],
          "Resource": [
            "*"
          ],
          "Condition": {
            "ForAnyValue:StringLike": {
              "aws:TagKeys": [
                "tidegate:*"
              ]
            },
            "Null": {
              "elasticloadbalancing:CreateAction": [
                "true"
              ]
            }
          }
        },
        {
          "Sid": "NeverDelete",
          "Effect": "Deny",
          "Action": [
            "autoscaling:DeleteAutoScalingGroup",
            "ec2:CancelSpotFleetRequests",
            "ecs:DeleteCluster",
            "ecs:DeleteService",
            "elasticloadbalancing:DeleteListener",
            "elasticloadbalancing:DeleteLoadBalancer"
          ],
          "Resource": [
            "*"
          ]
        },
        {
          "Sid": "NeverEndOthers",
          "Effect": "Deny",
          "Action": [
            "ec2:TerminateInstances"
          ],
          "Resource": [
            "*"
          ],
          "Condition": {
            "Null": {
              "aws:ResourceTag/aws:ec2spot:fleet-request-id": [
                "true"
              ]
            }
          }
        }
      ]
    }
  JSON
}

resource "aws_iam_policy" "tidegate_remove_hosts" {
  name        = "tidegate-remove-hosts"
  description = "What Tidegate needs to drain and end hosts."
  policy      = <<-JSON
    {
      "Version": "2012-10-17",
      "Statement": [
        {
          "Sid": "SizeGroups",
          "Effect": "Allow",
          "Action": [
            "autoscaling:SetInstanceProtection",
            "autoscaling:TerminateInstanceInAutoScalingGroup"
          ],
          "Resource": [
            "arn:aws:autoscaling:eu-west-1:111122223333:autoScalingGroup:*:autoScalingGroupName/shop-mixed"
          ]
        },
        {
          "Sid": "ProtectNewHosts",
          "Effect": "Allow",
          "Action": [
            "autoscaling:UpdateAutoScalingGroup"
          ],
          "Resource": [
            "arn:aws:autoscaling:eu-west-1:111122223333:autoScalingGroup:*:autoScalingGroupName/shop-mixed"
          ],
          "Condition": {
            "Null": {
              "autoscaling:CapacityReservationIds": [
                "true"
              ],
              "autoscaling:ImageId": [
                "true"
              ],
              "autoscaling:InstanceTypes": [
                "true"
              ],
              "autoscaling:LaunchConfigurationName": [
                "true"
              ],
              "autoscaling:LaunchTemplateVersionSpecified": [
                "true"
              ],
              "autoscaling:MaxSize": [
                "true"
              ],
              "autoscaling:MinSize": [
                "true"
              ],
              "autoscaling:VPCZoneIdentifiers": [
                "true"
              ]
            }
          }
        },
        {
          "Sid": "SizeFleets",
          "Effect": "Allow",
          "Action": [
            "ec2:ModifySpotFleetRequest"
          ],
          "Resource": [
            "arn:aws:ec2:eu-west-1:111122223333:spot-fleet-request/sfr-73fbd2ce-aa30-494c-8788-1cee4EXAMPLE"
          ]
        },
        {
          "Sid": "EndFleetHosts",
          "Effect": "Allow",
          "Action": [
            "ec2:TerminateInstances"
          ],
          "Resource": [
            "arn:aws:ec2:eu-west-1:111122223333:instance/*"
          ],
          "Condition": {
            "StringLike": {
              "aws:ResourceTag/aws:ec2spot:fleet-request-id": [
                "sfr-73fbd2ce-aa30-494c-8788-1cee4EXAMPLE"
              ]
            }
          }
        },
        {
          "Sid": "DrainHosts",
          "Effect": "Allow",
          "Action": [
            "ecs:DeleteAttributes",
            "ecs:PutAttributes",
            "ecs:UpdateContainerInstancesState"
          ],
          "Resource": [
            "arn:aws:ecs:eu-west-1:111122223333:container-instance/shop/*"
          ],
          "Condition": {
            "ArnEquals": {
              "ecs:cluster": [
                "arn:aws:ecs:eu-west-1:111122223333:cluster/shop"
              ]
            }
          }
        },
        {
          "Sid": "NeverRelabel",
          "Effect": "Deny",
          "Action": [
            "autoscaling:CreateOrUpdateTags",
            "autoscaling:DeleteTags",
            "ec2:CreateTags",
            "ec2:DeleteTags",
            "elasticloadbalancing:AddTags",
            "elasticloadbalancing:RemoveTags"
          ],
          "Resource": [
            "*"
          ],
          "Condition": {
            "ForAnyValue:StringLike": {
              "aws:TagKeys": [
                "tidegate:*"
              ]
            },
            "Null": {
              "elasticloadbalancing:CreateAction": [
                "true"
              ]
            }
          }
        },
        {
          "Sid": "NeverDelete",
          "Effect": "Deny",
          "Action": [
            "autoscaling:DeleteAutoScalingGroup",
            "ec2:CancelSpotFleetRequests",
            "ecs:DeleteCluster",
            "ecs:DeleteService",
            "elasticloadbalancing:DeleteListener",
            "elasticloadbalancing:DeleteLoadBalancer"
          ],
          "Resource": [
            "*"
          ]
        },
        {
          "Sid": "NeverEndOthers",
          "Effect": "Deny",
          "Action": [
            "ec2:TerminateInstances"
          ],
          "Resource": [
            "*"
          ],
          "Condition": {
            "Null": {
              "aws:ResourceTag/aws:ec2spot:fleet-request-id": [
                "true"
              ]
            }
          }
        }
      ]
    }
  JSON
}

resource "aws_iam_policy" "tidegate_traffic" {
  name        = "tidegate-traffic"
  description = "What Tidegate needs to move and keep traffic."
  policy      = <<-JSON
    {
      "Version": "2012-10-17",
      "Statement": [
        {
          "Sid": "WriteServices",
          "Effect": "Allow",
          "Action": [
            "ecs:CreateService",
            "ecs:UpdateService"
          ],
          "Resource": [
            "arn:aws:ecs:eu-west-1:111122223333:service/shop/*"
          ],
          "Condition": {
            "ArnEquals": {
              "ecs:cluster": [
                "arn:aws:ecs:eu-west-1:111122223333:cluster/shop"
              ]
            }
          }
        },
        {
          "Sid": "RegisterTasks",
          "Effect": "Allow",
          "Action": [
            "ecs:RegisterTaskDefinition"
          ],
          "Resource": [
            "arn:aws:ecs:eu-west-1:111122223333:task-definition/*:*"
          ]
        },
        {
          "Sid": "SuspendScaling",
          "Effect": "Allow",
          "Action": [
            "application-autoscaling:RegisterScalableTarget"
          ],
          "Resource": [
            "arn:aws:application-autoscaling:eu-west-1:111122223333:scalable-target/*"
          ],
          "Condition": {
            "StringEquals": {
              "application-autoscaling:scalable-dimension": [
                "ecs:service:DesiredCount"
              ],
              "application-autoscaling:service-namespace": [
                "ecs"
              ]
            }
          }
        },
        {
          "Sid": "MakeRules",
          "Effect": "Allow",
          "Action": [
            "elasticloadbalancing:CreateRule"
          ],
          "Resource": [
            "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2"
          ],
          "Condition": {
            "ForAllValues:StringEquals": {
              "aws:TagKeys": [
                "tidegate:cluster",
                "tidegate:purpose"
              ]
            },
            "Null": {
              "aws:RequestTag/tidegate:purpose": [
                "false"
              ]
            },
            "StringEquals": {
              "aws:RequestTag/tidegate:cluster": [
                "shop"
              ]
            }
          }
        },
        {
          "Sid": "MakeTargetGroups",
          "Effect": "Allow",
          "Action": [
            "elasticloadbalancing:CreateTargetGroup"
          ],
          "Resource": [
            "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/*"
          ],
          "Condition": {
            "ForAllValues:StringEquals": {
              "aws:TagKeys": [
                "tidegate:cluster",
                "tidegate:purpose"
              ]
            },
            "Null": {
              "aws:RequestTag/tidegate:purpose": [
                "false"
              ]
            },
            "StringEquals": {
              "aws:RequestTag/tidegate:cluster": [
                "shop"
              ]
            }
          }
        },
        {
          "Sid": "LabelWhatIsMade",
          "Effect": "Allow",
          "Action": [
            "elasticloadbalancing:AddTags"
          ],
          "Resource": [
            "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener-rule/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2/*",
            "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/*"
          ],
          "Condition": {
            "ForAllValues:StringEquals": {
              "aws:TagKeys": [
                "tidegate:cluster",
                "tidegate:purpose"
              ]
            },
            "Null": {
              "aws:RequestTag/tidegate:purpose": [
                "false"
              ]
            },
            "StringEquals": {
              "aws:RequestTag/tidegate:cluster": [
                "shop"
              ],
              "elasticloadbalancing:CreateAction": [
                "CreateRule",
                "CreateTargetGroup"
              ]
            }
          }
        },
        {
          "Sid": "WriteRules",
          "Effect": "Allow",
          "Action": [
            "elasticloadbalancing:DeleteRule",
            "elasticloadbalancing:ModifyRule"
          ],
          "Resource": [
            "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener-rule/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2/*"
          ],
          "Condition": {
            "StringEquals": {
              "aws:ResourceTag/tidegate:cluster": [
                "shop"
              ]
            }
          }
        },
        {
          "Sid": "OrderRules",
          "Effect": "Allow",
          "Action": [
            "elasticloadbalancing:SetRulePriorities"
          ],
          "Resource": [
            "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener-rule/app/shop/50dc6c495c0c9188/f2f7dc8efc522ab2/*"
          ]
        },
        {
          "Sid": "WriteTargetGroups",
          "Effect": "Allow",
          "Action": [
            "elasticloadbalancing:DeleteTargetGroup",
            "elasticloadbalancing:ModifyTargetGroup",
            "elasticloadbalancing:ModifyTargetGroupAttributes"
          ],
          "Resource": [
            "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/*"
          ],
          "Condition": {
            "StringEquals": {
              "aws:ResourceTag/tidegate:cluster": [
                "shop"
              ]
            }
          }
        },
        {
          "Sid": "WriteDeclaredTargetGroups",
          "Effect": "Allow",
          "Action": [
            "elasticloadbalancing:ModifyTargetGroup",
            "elasticloadbalancing:ModifyTargetGroupAttributes"
          ],
          "Resource": [
            "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/posts/*"
          ]
        },
        {
          "Sid": "NeverRelabel",
          "Effect": "Deny",
          "Action": [
            "autoscaling:CreateOrUpdateTags",
            "autoscaling:DeleteTags",
            "ec2:CreateTags",
            "ec2:DeleteTags",
            "elasticloadbalancing:AddTags",
            "elasticloadbalancing:RemoveTags"
          ],
          "Resource": [
            "*"
          ],
          "Condition": {
            "ForAnyValue:StringLike": {
              "aws:TagKeys": [
                "tidegate:*"
              ]
            },
            "Null": {
              "elasticloadbalancing:CreateAction": [
                "true"
              ]
            }
          }
        },
        {
          "Sid": "NeverDelete",
          "Effect": "Deny",
          "Action": [
            "autoscaling:DeleteAutoScalingGroup",
            "ec2:CancelSpotFleetRequests",
            "ecs:DeleteCluster",
            "ecs:DeleteService",
            "elasticloadbalancing:DeleteListener",
            "elasticloadbalancing:DeleteLoadBalancer"
          ],
          "Resource": [
            "*"
          ]
        },
        {
          "Sid": "NeverEndOthers",
          "Effect": "Deny",
          "Action": [
            "ec2:TerminateInstances"
          ],
          "Resource": [
            "*"
          ],
          "Condition": {
            "Null": {
              "aws:ResourceTag/aws:ec2spot:fleet-request-id": [
                "true"
              ]
            }
          }
        }
      ]
    }
  JSON
}

data "aws_partition" "current" {}
data "aws_region" "current" {}
