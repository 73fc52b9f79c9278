"""Last layers that start as the linear model which says most from the states of the model before it is fine-tuned.

A drawn last layer bends the model towards directions that mean nothing until it has found some that do; on few rows
that is most of the training. Source: Kumar et al. 2022 (2202.10054), Section 4 (linear probing, then fine-tuning).
"""

import warnings

import numpy as np
import torch
from torch import nn

from afterbert.base.noise import Noise
from afterbert.downstream.finetuning.objective import TaskObjective
from afterbert.downstream.heads import HeadModule
from afterbert.downstream.posing.prepared import Prepared
from afterbert.downstream.task_name import head_key
from afterbert.objectives.modules import ObjectiveModule
from afterbert.training.devices import device_of
from afterbert.training.step import to_tensors

_ROWS = 2000  # a linear model of some hundred numbers learns little from more
_STRENGTH = 0.01  # inverse weight of the penalty, on features of variance 1


def start_from_probes(module: ObjectiveModule, asked: TaskObjective, noise: Noise) -> None:
    """Sets the last layer of each head that answers for rows by one, but for those learned in an earlier stage."""
    module.eval()
    for data in asked.tasks:
        head = module.saved_heads.get(head_key(data.name))
        if not isinstance(head, HeadModule) or head_key(data.name) in asked.model.weights:
            continue
        last = head.last_layer
        if last is None or last.bias is None:
            continue
        prepared = asked.prepared[data.name]["train"]
        usable = np.flatnonzero(prepared.asked)
        units = usable[np.sort(noise.of(data.name).order(len(usable))[:_ROWS])]
        features = _features(module, asked, last, data.name, prepared, units)
        labels = prepared.row_arrays["labels"][prepared.row_numbers(units)]
        _fit(last, features, labels)


def _features(
    module: ObjectiveModule, asked: TaskObjective, last: nn.Linear, name: str, prepared: Prepared, units: np.ndarray
) -> np.ndarray:
    """What the last layer is given for each of these units, float64 [N, D]."""
    seen: list[np.ndarray] = []
    hook = last.register_forward_pre_hook(lambda _, given: seen.append(given[0].double().cpu().numpy()))
    with torch.inference_mode():
        for some in np.array_split(units, max(1, len(units) // 64)):
            has_segments = asked.model.architecture.has_segments
            batch = prepared.batch(some, pad=asked.pad, has_segments=has_segments, name=name)
            module.answer(to_tensors(batch.arrays, device_of(module)))
    hook.remove()
    return np.concatenate(seen)


def _fit(last: nn.Linear, features: np.ndarray, labels: np.ndarray) -> None:
    """Fits the layer to class numbers (int64 [N]), or numbers (float32 [N]); one class alone leaves it as it is."""
    # here, since scikit-learn takes two seconds to import
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge

    middle, scale = features.mean(0), features.std(0) + 1e-6
    spread = (features - middle) / scale
    weight, bias = last.weight.detach().double().cpu().numpy(), last.bias.detach().double().cpu().numpy()
    if labels.dtype.kind == "f":
        found = Ridge(alpha=1 / _STRENGTH).fit(spread, labels)
        weight[:], bias[:] = found.coef_, found.intercept_
    else:
        if len(set(labels.tolist())) < 2:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a start need not be exact
            found = LogisticRegression(C=_STRENGTH, max_iter=300).fit(spread, labels)
        weight[:], bias[:] = 0, found.intercept_.min()
        is_binary = len(found.classes_) == 2
        weight[found.classes_] = np.concatenate((-found.coef_, found.coef_)) / 2 if is_binary else found.coef_
        bias[found.classes_] = np.append(-found.intercept_, found.intercept_) / 2 if is_binary else found.intercept_
    weight /= scale
    bias -= weight @ middle
    with torch.no_grad():
        last.weight.copy_(torch.from_numpy(weight))
        last.bias.copy_(torch.from_numpy(bias))
