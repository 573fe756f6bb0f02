"""The trials of a search, kept by Optuna in a file of the run or in a shared storage."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from typing_extensions import TypedDict

from zspace.errors import InputError, cut
from zspace.generation.tuning.lines import Row, Space
from zspace.storage.reading import whole

LARGEST = 1 << 28
"""The size in bytes up to which a file of trials is read."""

STALE = 5.0
"""The seconds after which a file's lock, held only while a line is written, counts as abandoned."""

CLAIM = 600.0
"""The seconds after which a trial that another process began counts as lost."""


class Tried(TypedDict):
    """What is stored for a candidate: rows and values by group, cosines and accuracies by label."""

    rows: list[Row | None]
    values: list[float | None]
    cosine: list[float]
    accuracy: list[float]


@dataclass
class Trials:
    """The trials of one search, kept by Optuna in a file of the run or in a shared storage.

    A trial is a step of a line, and is identified by the numbers of both: a search that is resumed
    takes the same steps, and finds the trials that were made.

    Attributes:
        study: Optuna's study.
        space: the space that is searched.
        shared: whether several processes share the trials.
        known: the rows, values and scores of finished trials, by line and step.
        seen: the numbers of finished trials that have been read.
    """

    study: Any
    space: Space
    shared: bool
    known: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)

    @classmethod
    def open(
        cls, storage: str | None, file: Path, name: str, space: Space, say: Callable[[str], object]
    ) -> Trials:
        """Open the trials of a search, which are created if they do not exist.

        Args:
            storage: the address of a shared storage; None takes the file.
            file: the file, whose folder exists.
            name: the name of the search.
            space: the space that is searched.
            say: told whether the file had to be mended.

        Raises:
            InputError: the storage or the file can't be used.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            if storage is None:
                from optuna.storages.journal import JournalFileBackend

                _remove_stale(file.with_name(f"{file.name}.lock"))
                if _cut(file):
                    say(f"{file} ended within a line, as a kill leaves it: that trial is left out")
                # its lock is a link to the file, which must not be relative
                where: Any = optuna.storages.JournalStorage(JournalFileBackend(str(file.resolve())))
            else:
                where = storage
            study = optuna.create_study(storage=where, study_name=name, load_if_exists=True)
        except OSError:
            raise
        except Exception as error:  # each kind of storage raises its own errors
            why = cut(str(error))
            if storage is not None:
                raise InputError(f"--storage '{storage}' can't be used ({why})") from error
            raise InputError(f"{file} can't be used ({why}): remove it") from error
        trials = cls(study, space, storage is not None)
        if not trials.shared:
            for trial in study.get_trials(deepcopy=False):
                if not trial.state.is_finished():  # left by a process that was killed
                    study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        return trials

    def refresh(self, but: int | None = None) -> set[tuple[int, int]]:
        """Read the finished trials; returns the steps that other processes are trying.

        Args:
            but: the number of a trial of this process, which is left out.

        Raises:
            InputError: a stored trial is damaged.
        """
        claimed: set[tuple[int, int]] = set()
        for trial in self.study.get_trials(deepcopy=False):
            if trial.number in self.seen or trial.number == but:
                continue
            where, found = trial.user_attrs.get("where"), trial.user_attrs.get("found")
            if not self._sound(where, found):
                raise InputError(
                    f"trial {trial.number} of this search is damaged: remove the run's "
                    "tuning/trials.log, or choose another --storage"
                )
            if trial.state.is_finished():
                self.seen.add(trial.number)
                if found is not None:
                    self.known.setdefault((where[0], where[1]), {**found, "number": trial.number})
            elif (
                where is not None
                and (datetime.now() - trial.datetime_start).total_seconds() < CLAIM
            ):
                claimed.add((where[0], where[1]))
        return claimed

    def add(self, where: tuple[int, int], evaluate: Callable[[], dict[str, Any]]) -> None:
        """Claim a step and evaluate it, unless another process claims it at the same time.

        Args:
            where: the line and the step.
            evaluate: evaluates the candidate.
        """
        import optuna

        states = optuna.trial.TrialState
        trial = self.study.ask()
        trial.set_user_attr("where", where)
        if self.shared and (where in self.refresh(but=trial.number) or where in self.known):
            self.study.tell(trial, state=states.FAIL, skip_if_finished=True)
            time.sleep(random.random() / 10)
            return
        found = evaluate()
        trial.set_user_attr("found", found)
        judged = None not in found["values"]
        self.study.tell(
            trial,
            sum(found["values"]) / len(found["values"]) if judged else None,
            state=states.COMPLETE if judged else states.PRUNED,
            skip_if_finished=True,
        )

    def _sound(self, where: Any, found: Any) -> bool:
        """Whether the attributes of a stored trial are what `add` writes, as far as it came."""
        try:
            pair = msgspec.convert(where, tuple[int, int] | None)
            tried = msgspec.convert(found, Tried | None)
        except msgspec.ValidationError:
            return False
        if tried is None:
            return True
        fits = self.space.holds(tried["rows"]) and len(tried["values"]) == len(tried["rows"])
        return pair is not None and fits


def _remove_stale(lock: Path) -> None:
    with suppress(FileNotFoundError):
        if time.time() - lock.lstat().st_mtime > STALE:
            lock.unlink()


def _cut(file: Path) -> bool:
    """Cut a file of lines to its last whole line, unless it ends with one or is being written."""
    written = os.path.lexists(file.with_name(f"{file.name}.lock"))
    if not file.is_file() or written or not file.stat().st_size:
        return False
    content = whole(file, LARGEST, "the trials of searches")
    end = content.rfind(b"\n") + 1
    if end == len(content):
        return False
    with file.open("rb+") as opened:
        opened.truncate(end)
    return True
