"""A metric row as an MLflow model: MLflow copies this script beside the weights and runs it where the model is loaded.

It needs the project's package: a checkout of it, installed by `pip install -e .` or on PYTHONPATH.
"""

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from auxreid.serving.metric_encoder import MetricEncoder
from auxreid.serving.photos import open_photos
from auxreid.serving.requests import answering, images_of


class MetricRow(PythonModel):
    """Images -> the embeddings that stage `metric` ranks."""

    def load_context(self, context):
        files = context.artifacts
        self.encoder = MetricEncoder(files["model"], files["backbone"], context.model_config["precision"])

    def predict(self, context, model_input, params=None):
        """Float32 [n, e] of images as :func:`auxreid.serving.requests.images_of` takes them."""
        with answering():
            return self.encoder.embed(open_photos(images_of(model_input)))


set_model(MetricRow())
