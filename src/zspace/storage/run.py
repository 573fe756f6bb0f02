"""`Run`, the folder of a training: its configuration, weights, checkpoints, log and samplers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from zspace.core import Batches, Method
from zspace.errors import BusyError, CheckpointError, InputError, cut, shown, whole_number
from zspace.options import present_name
from zspace.storage import log
from zspace.storage.config import Facts, comparable, dump_config, read_config
from zspace.storage.files import (
    Count,
    Plain,
    atomic,
    check_inside,
    check_name,
    load_state,
    open_tensors,
    read_header,
    read_tensors,
    temporary,
    write_tensors,
    write_text,
)
from zspace.storage.lock import locked
from zspace.storage.optimizers import optimizer_state, owned
from zspace.storage.packed import part
from zspace.storage.published import run_folder


@dataclass(frozen=True)
class Header:
    """The header of a file of weights, which says what run they belong to.

    Attributes:
        config: the part of the run's configuration that determines what is learned.
        facts: the facts about its data; None for a fit to codes.
        iteration: the number of iterations done.
    """

    config: dict[str, Plain]
    facts: Facts | None = None
    iteration: Count = 0


class Run:
    """The folder of a training: config.yaml, model.safetensors, log.jsonl, checkpoints/, samplers/.

    `Run(folder)` opens an existing run; `Run.create` makes a new one.

    Args:
        folder: the folder's path, or `zoo:NAME` of a model of the zoo.
        config: a configuration for further training; None takes that of config.yaml.
        facts: the facts about the data that it is trained on; None reads them from its weights.

    Raises:
        InputError: the folder is no run, or the model of the zoo can't be brought in.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        config: Mapping[str, Any] | None = None,
        facts: Facts | None = None,
    ) -> None:
        self.folder = run_folder(folder)
        if not self.folder.is_dir():
            raise InputError(f"{folder} is no folder: 'zspace train' makes one (see --out)")
        if not (path := self.folder / "config.yaml").is_file():
            raise InputError(f"{folder} is no run: it has no config.yaml")
        self.config = read_config(path) if config is None else dict(config)
        self._facts = facts
        self._writer: Any = None

    @classmethod
    @contextmanager
    def create(
        cls, folder: Path | str, config: Mapping[str, Any], *, overwrite: bool = False
    ) -> Generator[Run]:
        """A context in which a new run with a configuration is trained by this process alone.

        The folder appears together with its config.yaml, so that a run always has one.

        Args:
            folder: the folder to make.
            config: option names to plain values.
            overwrite: whether to replace a run that is there.

        Raises:
            InputError: the folder exists and may not be replaced.
            BusyError: another process trains it, or has just made it.
        """
        # links are resolved, since an existing folder is moved aside before it is removed
        folder = Path(folder).resolve()
        cls.check_new(folder, overwrite=overwrite)
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = temporary(folder)
        fresh.mkdir()
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, fresh, ignore_errors=True)
            write_text(fresh / "config.yaml", dump_config(config))
            (fresh / "checkpoints").mkdir()
            stack.enter_context(locked(fresh))
            if folder.exists():
                with locked(folder):
                    old = temporary(folder)
                    folder.rename(old)
                    fresh.rename(folder)
                shutil.rmtree(old, ignore_errors=True)
            else:
                try:
                    fresh.rename(folder)
                except OSError as error:  # another process was faster
                    try:
                        cls.check_new(folder, overwrite=False)
                    except InputError as why:
                        raise BusyError(str(why)) from error
                    raise
            yield cls(folder)

    def alone(self) -> AbstractContextManager[None]:
        """A context in which this process alone trains the run.

        Raises:
            BusyError: another process trains it; the message names it.
            InputError: a part of it lies elsewhere.
        """
        check_inside(self.folder, "checkpoints", "tensorboard", "log.jsonl")
        return locked(self.folder)

    @staticmethod
    def check_new(folder: Path, *, overwrite: bool) -> None:
        """Check that a new run may take a folder's place.

        Args:
            folder: the folder, which may be missing, empty, or a run that `overwrite` allows to
                replace.
            overwrite: whether a run may be replaced.

        Raises:
            InputError: the folder holds something else, is a run that may not be replaced, or is
                the current folder or one around it.
        """
        check_name(folder)
        here = Path.cwd()
        if folder.resolve() in (here, *here.parents):
            raise InputError(f"{folder} is the current folder, or around it: choose another --out")
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return
        config = folder / "config.yaml"
        is_run = config.is_file() and (folder / "checkpoints").is_dir()
        if not is_run or "recipe" not in read_config(config):
            raise InputError(f"{folder} exists and is no run: choose another --out")
        if not overwrite:
            begun = any((folder / "checkpoints").iterdir())
            more = f", or go on with 'zspace resume {folder}'" if begun else ""
            ways = f"choose another --out, or --overwrite it{more}"
            raise InputError(f"the run {folder} exists: {ways}")

    def header(self, iteration: int) -> dict[str, Any]:
        """The header of a file of weights after a number of iterations, as JSON knows it."""
        return asdict(Header(comparable(self.config), self._facts, iteration))

    @property
    def facts(self) -> Facts:
        """The facts about the data that the run's model is trained on.

        Raises:
            InputError: there are no weights yet, or they do not hold the facts.
        """
        return self._facts or self.facts_of(self.weights_file())

    def facts_of(self, path: Path) -> Facts:
        """The facts about the data that are stored in one of the run's files of weights.

        Raises:
            InputError: the file can't be read, belongs to another configuration, or does not hold
                them.
        """
        header = read_header(path, Header)
        self._check_owner(path, header)
        if (facts := header.facts) is None:
            raise InputError(f"the weights of {self.folder} do not say what data they are for")
        return facts

    @property
    def model_file(self) -> Path:
        """The file of the finished model's weights, which need not exist yet."""
        return self.folder / "model.safetensors"

    def checkpoints(self) -> dict[int, Path]:
        """The checkpoints by iteration, oldest first."""
        paths = (self.folder / "checkpoints").glob("[0-9]*.safetensors")
        numbered = {whole_number(p.stem): p for p in paths}
        return {n: numbered[n] for n in sorted(k for k in numbered if k is not None)}

    def samplers(self) -> dict[str, Path]:
        """The files of the samplers that are stored in it, by name."""
        return {p.stem: p for p in sorted((self.folder / "samplers").glob("*.safetensors"))}

    def log(self, iteration: int, losses: Mapping[str, float]) -> None:
        """Append the losses of an iteration to log.jsonl and, if configured, to TensorBoard's log.

        Raises:
            InputError: TensorBoard is configured and not installed.
        """
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"iteration": iteration, **losses}) + "\n")
        if self.config.get("tensorboard"):
            if self._writer is None:
                self._writer = log.events(self.folder / "tensorboard", iteration)
            for name, value in losses.items():
                self._writer.add_scalar(name.replace(".", "/"), value, iteration)

    def losses(self) -> list[dict[str, float]]:
        """The lines of log.jsonl, each with its "iteration"; an unfinished line is left out.

        Of more than 8,192 lines, every second, fourth or later one is given.
        """
        path = self.folder / "log.jsonl"
        parsed = (log.losses(line, path) for line in log.thinned(log.lines(path), log.POINTS))
        return [line for line in parsed if line is not None]

    def checkpoint(
        self,
        method: Method,
        optimizers: Mapping[str, Optimizer],
        batches: Batches,
        iteration: int,
        *,
        keep: int,
    ) -> None:
        """Store all that the next iteration depends on, then remove old checkpoints.

        Args:
            method: the method, with its weights and buffers.
            optimizers: its optimisers by name.
            batches: the batches, with their position and their random state.
            iteration: the number of iterations done, which names the file.
            keep: the number of latest checkpoints to keep; 0 keeps all.
        """
        tensors = {f"model.{k}": v for k, v in method.state_dict().items()}
        for name, optimizer in optimizers.items():
            for i, p in enumerate(owned(optimizer)):
                for key, value in optimizer.state[p].items():
                    tensors[f"optimizer.{name}.{i}.{key}"] = value
        tensors |= {f"batches.{k}": v for k, v in batches.state().items()}
        tensors["random.cpu"] = torch.get_rng_state()
        if batches.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(batches.device)
        path = self.folder / "checkpoints" / f"{iteration:09d}.safetensors"
        write_tensors(path, tensors, self.header(iteration))
        if keep:
            for old in list(self.checkpoints().values())[:-keep]:
                old.unlink()

    def thin(self) -> None:
        """Drop the optimisers' state from all checkpoints but the last two.

        Training can no longer go on from them, but they can be looked at, at a third of the size.
        """
        for path in list(self.checkpoints().values())[:-2]:
            tensors, header = read_tensors(path, Header)
            model = {k: v for k, v in tensors.items() if k.startswith("model.")}
            if len(model) < len(tensors):
                write_tensors(path, model, asdict(header))

    def restore(
        self, method: Method, optimizers: Mapping[str, Optimizer], batches: Batches, before: int = 0
    ) -> None:
        """Load the last checkpoint, so that training continues exactly where it was made.

        Without a checkpoint nothing changes.

        Args:
            method, optimizers, batches: what the state is loaded into.
            before: the iterations of earlier stages. From the checkpoint at the end of those, only
                the random state is loaded: a new stage begins, which has prepared its own state.

        Raises:
            CheckpointError: the checkpoint is damaged, belongs to another configuration, or was
                trained on other data.
        """
        stored = list(self.checkpoints().values())
        if not stored:
            return
        where = stored[-1]
        try:
            with open_tensors(where, Header) as opened:
                header = opened.header
                self._check_owner(where, header)
                tensors = opened.tensors(method)
            if self._facts is not None:
                self.facts_of(where).check(self._facts, where, exactly=True)
            torch.set_rng_state(tensors["random.cpu"])
            if batches.device.type == "cuda" and "random.cuda" in tensors:
                torch.cuda.set_rng_state(tensors["random.cuda"], batches.device)
            if header.iteration == before > 0:
                return
            load_state(method, part(tensors, "model."), where)
            for name, optimizer in optimizers.items():
                for i, p in enumerate(owned(optimizer)):
                    optimizer.state[p] = optimizer_state(
                        tensors, f"optimizer.{name}.{i}.", p, isinstance(optimizer, Adam)
                    )
            batches.load_state({k: tensors[f"batches.{k}"] for k in batches.state()})
            step = before + batches.step
            if batches.step < 1 or batches.drawn < 1 or step != header.iteration:
                raise ValueError(f"its batches are of iteration {step}")
        except InputError as error:
            raise CheckpointError(str(error)) from error
        except (KeyError, RuntimeError, TypeError, ValueError, OverflowError) as error:
            raise CheckpointError(f"{where} is damaged: {cut(str(error))}") from error

    def _check_owner(self, path: Path, header: Header) -> None:
        """Check that a file is of this configuration and, a checkpoint, of its name's iteration."""
        if path.parent.name == "checkpoints" and whole_number(path.stem) != header.iteration:
            raise InputError(
                f"{path} is the checkpoint of iteration {header.iteration}: it must not be renamed"
            )
        ours = comparable(self.config)
        theirs = {present_name(k): v for k, v in header.config.items()}
        for key in ours.keys() | theirs.keys():
            if theirs.get(key) != ours.get(key):
                raise InputError(
                    f"{path} is of another configuration: there {key} is "
                    f"{shown(theirs.get(key))}, in {self.folder}/config.yaml {shown(ours.get(key))}"
                )

    def begin(self, iteration: int) -> None:
        """Prepare the folder for training from an iteration, whose checkpoint has been loaded.

        Later lines of the log are removed, since those iterations will be done again; so is the
        file of a finished model that is trained further. A changed configuration is written.
        """
        if read_config(self.folder / "config.yaml") != self.config:
            write_text(self.folder / "config.yaml", dump_config(self.config))
        self.model_file.unlink(missing_ok=True)
        path = self.folder / "log.jsonl"
        with atomic(path) as partial, partial.open("w", encoding="utf-8") as file:
            for line in log.lines(path):
                found = log.losses(line, path)
                if found is not None and found["iteration"] <= iteration:
                    file.write(json.dumps(found) + "\n")

    def weights_file(self, checkpoint: str = "last") -> Path:
        """The file that holds the model's weights.

        Args:
            checkpoint: the iteration of a checkpoint, or "last" for the finished model or, if the
                run is not finished, its latest checkpoint.

        Raises:
            InputError: there is no such checkpoint, or none at all.
        """
        stored = self.checkpoints()
        if checkpoint == "last":
            if self.model_file.exists():
                return self.model_file
            if not stored:
                raise InputError(
                    f"{self.folder} has no model and no checkpoint yet: "
                    f"'zspace resume {self.folder}' trains it"
                )
            return list(stored.values())[-1]
        known = ", ".join(str(i) for i in stored) or "none"
        number = whole_number(checkpoint)
        if number not in stored:
            raise InputError(
                f"--checkpoint must be last or an iteration with a checkpoint ({known}), "
                f"not '{checkpoint}'"
            )
        return stored[number]

    def weights(self, path: Path, like: nn.Module | None = None) -> dict[str, Tensor]:
        """The model's weights in one of the run's files, by name.

        Args:
            path: the file.
            like: a network that they are for, which bounds the file's size.

        Raises:
            InputError: the file is missing, damaged, too large, or of another configuration.
        """
        with open_tensors(path, Header) as opened:
            self._check_owner(path, opened.header)
            tensors = opened.tensors(like)
        return tensors if path == self.model_file else part(tensors, "model.")
