"""Samplers of latent codes, one kind in each file."""

from zspace.samplers.classwise import Classwise, Medium1, Medium2, Simple, as_text
from zspace.samplers.convex import Convex
from zspace.samplers.flow import Flow, LearnedFlow
from zspace.samplers.flow_matching import FlowMatching
from zspace.samplers.kde import KDE
from zspace.samplers.learned import Learned
from zspace.samplers.mixture import Mixture
from zspace.samplers.normal import Normal
from zspace.samplers.pushforward import LearnedPushforward, Pushforward

__all__ = [
    "KDE",
    "Classwise",
    "Convex",
    "Flow",
    "FlowMatching",
    "Learned",
    "LearnedFlow",
    "LearnedPushforward",
    "Medium1",
    "Medium2",
    "Mixture",
    "Normal",
    "Pushforward",
    "Simple",
    "as_text",
]
