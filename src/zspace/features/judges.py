"""Published classifiers, whose features are the same for everyone: the judges of the zoo."""

from __future__ import annotations

from pathlib import Path

from zspace.core import SILENT, Progress
from zspace.errors import InputError
from zspace.features.classifier import NETS, Task
from zspace.functional.augmentation import TURNS
from zspace.nets.classifiers import ClassifierNet, quick
from zspace.storage.config import Facts
from zspace.storage.entries import Judge
from zspace.storage.files import load_state, read_tensors
from zspace.storage.packed import whole
from zspace.storage.published import get_judge, judge_of


def read_judge(name: str, progress: Progress = SILENT) -> tuple[Judge, ClassifierNet]:
    """The entry of a judge and its network for inference, in eval mode.

    Args:
        name: its name, with or without "zoo:".
        progress: told how far a download is.

    Raises:
        InputError: there is no such judge, or its file is damaged or can't be found.
    """
    entry = judge_of(name)
    path = get_judge(name, progress=progress)
    return entry, quick(network_of(entry.arch, entry.task, entry.facts, path))


def network_of(arch: str, task: Task, facts: Facts, path: Path | None = None) -> ClassifierNet:
    """The network of a judge, in eval mode.

    Args:
        arch: a name of `zspace classifier --arch`.
        task: what it tells.
        facts: the facts about its data.
        path: the file of its weights, some of which may be of half precision; None leaves them
            random.

    Raises:
        InputError: there is no such network, or the file is damaged or holds another.
    """
    if arch not in NETS:
        raise InputError(f"a judge has the network '{arch}', which this zspace does not know")
    net = NETS[arch](facts.shape, len(facts.classes) if task == "labels" else TURNS)
    if path is not None:
        tensors, _ = read_tensors(path, dict)
        load_state(net, whole(tensors), path)
    return net.eval()
