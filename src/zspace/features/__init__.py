"""The features by which images are compared: pixels, a neutral classifier, published networks."""

from zspace.features.classifier import Neutral, neutral_classifier
from zspace.features.extract import FEATURES, Extractor, find_extractor

__all__ = ["FEATURES", "Extractor", "Neutral", "find_extractor", "neutral_classifier"]
