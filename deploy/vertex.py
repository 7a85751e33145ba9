"""python deploy/vertex.py PROJECT REGION IMAGE: the image as a Vertex AI endpoint. Needs `pip install
google-cloud-aiplatform`, Google credentials, and the image in Artifact Registry.
"""

import sys

from google.cloud import aiplatform

NAME = "flights"


def deploy(image: str) -> None:
    """Upload the image as a model and put it behind an endpoint of its own."""
    model = aiplatform.Model.upload(
        display_name=NAME,
        serving_container_image_uri=image,
        serving_container_predict_route="/invocations",
        serving_container_health_route="/readyz",
        serving_container_ports=[8080],
    )
    model.deploy(machine_type="n1-standard-2", min_replica_count=1, max_replica_count=3, traffic_percentage=100)


if __name__ == "__main__":
    aiplatform.init(project=sys.argv[1], location=sys.argv[2])
    deploy(sys.argv[3])
