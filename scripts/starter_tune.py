"""Fine-tunes a network on photographs as a feeder camera would have taken them.

Each tower learns by itself, so that their mistakes stay apart: the body, a projection into the
embedding space, and one unit vector and bias for each label. What is kept is a running mean of
the weights. An interrupted run goes on from its last epoch.
"""

import hashlib
import math
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.progress import track
from starter_augment import SIZE, augment
from starter_fit import whitened
from starter_photos import Box, Flags, Floats, Ints, Pixels
from starter_towers import MEAN, STD, MobileNet, TinyViT
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

WARM_UP = 80
"""Steps over which the learning rate rises."""
MEMORY = 0.995
"""The running mean of the weights keeps this share at each step."""
RARITY = 0.65
"""A photograph is drawn with its label's count to the power of minus this: 1 would show every
label alike, and the three photographs of a rare one far too often."""
NEGATIVES, UNNAMED = 2.5, 2.0
"""How much more often what is no bird, and a bird of unknown species, is drawn."""
SMOOTHING = 0.05
"""Label smoothing: one photograph in fourteen of the world's birds has a wrong name."""
REMEMBER = 0.5
"""What keeping the published network's own scores weighs beside the labels."""


@dataclass(frozen=True)
class Plan:
    """How long and how fast a tower learns.

    `per_epoch` photographs are drawn for an epoch, with replacement. `kept` is the share of the
    published weights in the result: half of them keeps what fine-tuning gains on spoilt pictures,
    and gives back what it loses on others (WiSE-FT, Wortsman et al. 2022).
    """

    epochs: int
    rate: float
    kept: float
    per_epoch: int = 6400
    batch: int = 48
    seed: int = 0


SEEING, KNOWING = Plan(epochs=8, rate=2e-4, kept=0.25), Plan(epochs=12, rate=3e-4, kept=0.5)
"""For TinyViT and for MobileNetV2."""


@dataclass(frozen=True)
class Lessons:
    """What there is to learn: n pictures, uint8 RGB, with their boxes where known.

    `target` [n] is the index of each one's label, -1 for a bird of unknown species; `birds`
    [labels] says which labels are birds; `scenes` are the numbers of pictures without anyone.
    """

    images: Sequence[Pixels]
    boxes: Sequence[Box | None]
    target: Ints
    birds: Flags
    scenes: Sequence[int]

    def digest(self, plan: "Plan") -> str:
        """What is learnt and how: a checkpoint of anything else is of no use. Hexadecimal."""
        told = hashlib.sha256(repr(plan).encode())
        for part in (self.target, self.birds, *self.images):
            told.update(zlib.crc32(np.ascontiguousarray(part)).to_bytes(4, "big"))
        return told.hexdigest()

    @property
    def is_bird(self) -> Flags:
        """[n]"""
        return (self.target < 0) | self.birds[np.maximum(self.target, 0)]


class Tower(nn.Module):
    """A body, its projection to `width` numbers, and the labels' vectors and biases.

    `classes` is the published network's last layer, where it has one worth remembering.
    """

    def __init__(
        self, body: TinyViT | MobileNet, width: int, labels: int, classes: nn.Linear | None = None
    ) -> None:
        super().__init__()
        self.body, self.classes = body, classes
        self.projection = nn.Linear(body.width, width)
        self.vectors = nn.Parameter(torch.zeros(labels, width))
        self.bias = nn.Parameter(torch.zeros(labels))
        self.log_scale = nn.Parameter(torch.tensor(math.log(16.0)))

    def forward(self, pixels: Tensor) -> Tensor:
        """Unit vectors [n, width]."""
        return functional.normalize(self.projection(self.body(pixels).float()), dim=-1)

    def logits(self, features: Tensor) -> Tensor:
        """[n, labels] for the body's output [n, d]."""
        embedding = functional.normalize(self.projection(features), dim=-1)
        vectors = functional.normalize(self.vectors, dim=-1)
        return self.log_scale.exp() * embedding @ vectors.T + self.bias

    def begin(self, features: Floats, lessons: Lessons) -> None:
        """Starts from the whitened space of the untouched body and its labels' mean vectors."""
        target, labels = lessons.target, len(lessons.birds)
        named = target >= 0
        narrow = self.projection.out_features < features.shape[1]
        space = whitened(features[named], target[named], shrink=0.3 if narrow else 0.2)
        moved = (features - space.centre) @ space.whiten
        means = np.stack([moved[target == label].mean(axis=0) for label in range(labels)])
        matrix = space.whiten
        if narrow:  # the directions in which birds differ most
            birds = means[lessons.birds] - means[lessons.birds].mean(axis=0)
            keep = np.linalg.svd(birds, full_matrices=False)[2][: self.projection.out_features].T
            matrix, means = matrix @ keep, means @ keep
        with torch.no_grad():
            self.projection.weight.copy_(torch.tensor(matrix.T))
            self.projection.bias.copy_(torch.tensor(-space.centre @ matrix))
            self.vectors.copy_(torch.tensor(means))

    def groups(self, rate: float) -> list[dict[str, Any]]:
        """Parameters with their learning rates: what sees edges and colours hardly moves."""
        body = self.body
        if isinstance(body, TinyViT):
            body.patch_embed.requires_grad_(False)
            body.stages[0].requires_grad_(False)
            parts = [(body.stages[1], 0.3), (body.stages[2], 0.6), (body.stages[3], 1.0)]
            parts += [(body.norm, 1.0)]
        else:
            parts = [(nn.ModuleList([body.stem, body.blocks[:7]]), 0.4)]
            parts += [(nn.ModuleList([body.blocks[7:], body.last]), 1.0)]
            parts += [(self.classes, 0.3)] if self.classes else []
        parts += [(self.projection, 2.0)]
        free = {"weight_decay": 0.0, "lr": rate * 5}
        return [{"params": list(part.parameters()), "lr": rate * k} for part, k in parts] + [
            {"params": [self.vectors], **free},
            {"params": [self.bias, self.log_scale], **free},
        ]


def tune(tower: Tower, lessons: Lessons, checkpoint: Path, plan: Plan) -> Tower:
    """What `tower` has learnt after `plan`; goes on from `checkpoint` where there is one.

    Adam with decoupled weight decay, a cosine schedule, bfloat16 in the body. The seed decides
    which photographs are drawn and how each is altered; sums differ between computers.
    """
    tower = tower.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    published = {name: value.clone() for name, value in tower.body.state_dict().items()}
    average = AveragedModel(tower, multi_avg_fn=get_ema_multi_avg_fn(MEMORY))
    optimizer = torch.optim.AdamW(tower.groups(plan.rate), lr=plan.rate, weight_decay=0.03)
    rates = [group["lr"] for group in optimizer.param_groups]
    random, done, teacher = np.random.default_rng(plan.seed), 0, None
    stored = torch.load(checkpoint, weights_only=False) if checkpoint.exists() else None
    digest = lessons.digest(plan)
    if stored is not None and stored["lessons"] != digest:
        raise SystemExit(f"{checkpoint} is of other photographs or another plan; delete it.")
    if stored is None or stored["epochs"] < plan.epochs:
        features = predict(tower.body, lessons.images)
        tower.begin(features.numpy(), lessons)
        teacher = tower.classes(features).softmax(-1).detach() if tower.classes else None
    if stored is not None:
        tower.load_state_dict(stored["tower"])
        average.load_state_dict(stored["average"])
        optimizer.load_state_dict(stored["optimizer"])
        random.bit_generator.state, done = stored["random"], stored["epochs"]
        print(f"{checkpoint.stem}: going on after epoch {done} of {plan.epochs}")
    share = _shares(lessons)
    steps = max(1, plan.per_epoch // plan.batch)
    for epoch in range(done, plan.epochs):
        total = 0.0
        for step in track(range(steps), f"{checkpoint.stem}, epoch {epoch + 1} of {plan.epochs}"):
            at = epoch * steps + step
            done_share = at / (plan.epochs * steps)
            pace = min(1, (at + 1) / WARM_UP) * (1 + math.cos(math.pi * done_share)) / 2
            for group, full in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = full * pace
            rows = random.choice(len(share), plan.batch, p=share)
            loss = _loss(tower, lessons, rows, random, teacher)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # as torch 2.13 declares it
            nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
            optimizer.step()
            average.update_parameters(tower)
            total += loss.item()
        print(f"{checkpoint.stem}: epoch {epoch + 1}, loss {total / steps:.3f}")
        state = {
            "tower": tower.state_dict(),
            "average": average.state_dict(),
            "optimizer": optimizer.state_dict(),
            "random": random.bit_generator.state,
            "epochs": epoch + 1,
            "lessons": digest,
        }
        beside = checkpoint.with_suffix(".new")
        torch.save(state, beside)
        os.replace(beside, checkpoint)
    tuned = average.module
    assert isinstance(tuned, Tower)
    for name, value in tuned.body.state_dict().items():
        value.mul_(1 - plan.kept).add_(published[name], alpha=plan.kept)
    return tuned.eval()


@torch.no_grad()
def predict(body: nn.Module, images: Sequence[Pixels], batch: int = 32) -> Tensor:
    """float32 [n, d]: what `body` makes of whole pictures, squashed to its size."""
    found = []
    for start in track(range(0, len(images), batch), "Looking at photographs"):
        part = [
            cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
            for image in images[start : start + batch]
        ]
        with torch.autocast("cpu", torch.bfloat16):
            found.append(body(_tensor(part)).float())
    return torch.cat(found)


def _loss(
    tower: Tower, lessons: Lessons, rows: Ints, random: np.random.Generator, teacher: Tensor | None
) -> Tensor:
    """Cross-entropy of a batch; any bird will do where the species is unknown."""
    is_bird = lessons.is_bird[rows]
    scenes = [lessons.images[row] for row in lessons.scenes]
    pixels = _tensor(
        [
            augment(lessons.images[row], lessons.boxes[row], random, scenes, bird=bool(bird))
            for row, bird in zip(rows, is_bird, strict=True)
        ]
    )
    target = torch.tensor(lessons.target[rows])
    with torch.autocast("cpu", torch.bfloat16):
        features = tower.body(pixels)
    features = features.float()
    log = tower.logits(features).log_softmax(-1)
    own = torch.arange(log.shape[1])[None] == target[:, None]
    allowed = torch.where(target[:, None] < 0, torch.tensor(lessons.birds)[None], own)
    right = log.masked_fill(~allowed, -1e4).logsumexp(-1)
    loss = -((1 - SMOOTHING) * right + SMOOTHING * log.mean(-1) * (target >= 0)).mean()
    if teacher is not None and tower.classes is not None:
        # However the photograph was spoilt, the scores of the untouched network on the clean one.
        birds = torch.tensor(is_bird)
        scores = tower.classes(features[birds]).log_softmax(-1)
        loss = loss + REMEMBER * functional.kl_div(
            scores, teacher[torch.tensor(rows)][birds], reduction="batchmean"
        )
    return loss


def _shares(lessons: Lessons) -> Floats:
    """[n]: how often each photograph is drawn."""
    target = lessons.target
    count = np.bincount(target + 1, minlength=len(lessons.birds) + 1)[target + 1]
    boost = np.where(lessons.is_bird, np.where(target < 0, UNNAMED, 1), NEGATIVES)
    share = count ** (-RARITY) * boost
    return np.asarray(share / share.sum())


def _tensor(images: Sequence[Pixels]) -> Tensor:
    """float32 [n, 3, SIZE, SIZE] as the towers want it."""
    mean, std = np.array(MEAN, np.float32), np.array(STD, np.float32)
    pixels = (np.stack(images).astype(np.float32) / 255 - mean) / std
    return (
        torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    )
