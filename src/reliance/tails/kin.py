"""Which families are active in which images, and the places of their active members."""

from typing import NamedTuple

import numpy as np
import torch


class Kin(NamedTuple):
    """The families of all levels that are active in n images, each in a column: W columns in all.

    W is the largest number of families in one of the images, E that of memberships. The most images have
    fewer: what is to spare has family -1, and memberships to spare point at a column W that is thrown away.
    """

    of: torch.Tensor  # family of each column, int64 [n, W]
    place: torch.Tensor  # of the unit of each membership, its place in the code, int64 [n, E]
    column: torch.Tensor  # and of the family; those of a column side by side, places rising, int64 [n, E]

    @property
    def several(self) -> torch.Tensor:
        """Where a family has two active members or more, bool [n, W]."""
        width = self.of.shape[1]
        count = self.column.new_zeros(len(self.of), width + 1)
        return count.scatter_add_(1, self.column, torch.ones_like(self.column))[:, :width] > 1

    def sums(self, numbers: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
        """Sums of numbers [q, k] over the active members of each family [q, W]; 0 in columns to spare.

        rows : images int64 [q] that the numbers are of; None: all, in order.
        """
        place, column = (a if rows is None else a[rows] for a in (self.place, self.column))
        width = self.of.shape[1]
        sums = numbers.new_zeros(len(numbers), width + 1)
        return sums.scatter_add_(1, column, numbers.gather(1, place))[:, :width]


def kin(active: torch.Tensor, families: torch.Tensor) -> Kin:
    """From bool [n, k] and the families of the units at each place, int64 [n, L, k], -1 without one.

    Memberships are sorted by family, in numbers that hold the place as well: members lie side by side, and
    no image's places are compared with each other.
    """
    n, levels, k = families.shape
    low = max(1, (levels * k - 1).bit_length())  # bits of a membership before it is sorted
    where = torch.arange(levels * k, device=families.device)
    belongs = (active[:, None] & (families >= 0)).flatten(1)
    spare = torch.iinfo(torch.int64).max
    most = int(belongs.sum(1).max()) if n else 0
    found = _sorted(torch.where(belongs, (families.flatten(1) << low) | where, spare))[:, :most]
    family, place, real = found >> low, (found & ((1 << low) - 1)) % k, found < spare
    begins = real.clone()
    begins[:, 1:] &= family[:, 1:] != family[:, :-1]
    count = begins.cumsum(1)
    width = int(count[:, -1].max()) if count.numel() else 0
    column = torch.where(real, count - 1, width)
    of = family.new_full((n, width + 1), -1).scatter_(1, column, family)[:, :width]
    return Kin(of, torch.where(real, place, 0), column)


def _sorted(numbers: torch.Tensor) -> torch.Tensor:
    """Every row of int64 [n, E] in rising order; numpy does not ask where they came from, 9 times faster."""
    if numbers.device.type == "cpu":
        return torch.from_numpy(np.sort(numbers.numpy(), axis=1))
    return numbers.sort(1).values
