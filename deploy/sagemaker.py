"""python deploy/sagemaker.py IMAGE ROLE: the image as a SageMaker real-time endpoint. Needs `pip install boto3`, AWS
credentials, the image in ECR, and the ARN of an execution role.
"""

import sys
from typing import Any

import boto3

NAME = "flights"


def deploy(client: Any, image: str, role: str) -> None:
    """Model, configuration and endpoint, which SageMaker then brings up in some minutes."""
    client.create_model(ModelName=NAME, ExecutionRoleArn=role, PrimaryContainer={"Image": image})
    variant = {
        "VariantName": "champion",
        "ModelName": NAME,
        "InstanceType": "ml.t2.medium",
        "InitialInstanceCount": 1,
        "ContainerStartupHealthCheckTimeoutInSeconds": 60,
    }
    client.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=[variant])
    client.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)


if __name__ == "__main__":
    deploy(boto3.client("sagemaker"), *sys.argv[1:3])
