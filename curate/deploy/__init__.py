"""Operation: runs in Prefect (tasks, artifacts, deployments), the services of a laptop, and what a machine lacks.

Only `curate.deploy.flow_runs` and what it imports needs Prefect when it is imported.
"""
