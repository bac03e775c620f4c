"""An attribute classifier as an MLflow model: MLflow copies this script beside the weights and runs it at loading.

It needs the project's package: a checkout of it, installed by `pip install -e .` or on PYTHONPATH.
"""

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from auxreid.attributes.model import load_model
from auxreid.attributes.predict import predict
from auxreid.serving.photos import open_photos
from auxreid.serving.requests import answering, images_of


class AttributeClassifier(PythonModel):
    """Images -> of every attribute the most probable word, and the probabilities of all its words."""

    def load_context(self, context):
        self.model, self.spec = load_model(context.artifacts["model"])
        self.precision = context.model_config["precision"]

    def predict(self, context, model_input, params=None):
        """A table with the columns `color` (a word) and `color=black`, `color=white` ... (float32) per attribute."""
        with answering():
            photos = open_photos(images_of(model_input))
        columns = {}
        for name, values in predict(self.model, photos, self.spec, precision=self.precision).items():
            words = self.model.vocabulary[name]
            columns[name] = [words[place] for place in np.argmax(values, axis=1)]
            columns |= {f"{name}={word}": values[:, place] for place, word in enumerate(words)}
        return pd.DataFrame(columns)


set_model(AttributeClassifier())
