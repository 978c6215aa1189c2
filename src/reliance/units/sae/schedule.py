"""How a training goes through its data: as in the paper, an epoch is a random share of them."""

import logging

from reliance.base.telling import tell
from reliance.config.sae import SaeTraining

log = logging.getLogger(__name__)


def drawn(settings: SaeTraining, n: int) -> int:
    """Images drawn per epoch from n, at least one batch."""
    return max(settings.batch_size, round(settings.epoch_share * n))


def steps(settings: SaeTraining, n: int) -> int:
    """Steps on n images; what is left of an epoch after its last full batch is not used."""
    return settings.epochs * (drawn(settings, n) // settings.batch_size)


def rate(settings: SaeTraining, epoch: int) -> float:
    """The learning rate of an epoch, counted from 0."""
    return float(settings.lr * settings.decay ** sum(epoch >= e for e in settings.decay_at))


def fitting(settings: SaeTraining, images: int) -> SaeTraining:
    """The settings with batches that the images fill: half of them where there are fewer than one batch."""
    if images < 2 or images >= settings.batch_size:
        return settings
    size = max(2, images // 2)
    tell(
        log, "%d images do not fill a batch of %d: batches have %d images", images, settings.batch_size, size
    )
    return settings.model_copy(update={"batch_size": size})
