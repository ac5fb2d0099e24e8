"""Load balancers as AWS bounds them, their targets and their health, and the load that a data plane reports."""
