"""How a training goes through its data: as in the paper, an epoch is a random share of them."""

from reliance.config.sae import SaeTraining


def drawn(settings: SaeTraining, n: int) -> int:
    """Images drawn per epoch from n, at least one batch."""
    return max(settings.batch_size, round(settings.epoch_share * n))


def steps(settings: SaeTraining, n: int) -> int:
    """Steps on n images; what is left of an epoch after its last full batch is not used."""
    return settings.epochs * (drawn(settings, n) // settings.batch_size)


def rate(settings: SaeTraining, epoch: int) -> float:
    """The learning rate of an epoch, counted from 0."""
    return float(settings.lr * settings.decay ** sum(epoch >= e for e in settings.decay_at))
