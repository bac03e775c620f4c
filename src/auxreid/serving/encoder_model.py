"""An encoder as an MLflow model: MLflow copies this script beside the weights and runs it where the model is loaded.

It needs the project's package: a checkout of it, installed by `pip install -e .` or on PYTHONPATH.
"""

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from auxreid.serving.embedding import Encoder
from auxreid.serving.photos import open_photos
from auxreid.serving.requests import answering, cameras_of, images_of, poses_of


class EncoderModel(PythonModel):
    """Images -> the embeddings that stage `evaluate` ranks."""

    def load_context(self, context):
        self.encoder = Encoder(context.artifacts["encoder"], context.model_config["precision"])

    def predict(self, context, model_input, params=None):
        """Float32 [n, d] of images as :func:`auxreid.serving.requests.images_of` takes them."""
        with answering():
            photos = open_photos(images_of(model_input), cameras_of(model_input))
            return self.encoder.embed(photos, poses_of(model_input))


set_model(EncoderModel())
