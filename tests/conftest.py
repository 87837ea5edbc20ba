"""Batches that several test rooms share; sizes are distinct primes."""

from __future__ import annotations

import pytest
import torch

from tiny import BATCH, SOURCE, TARGET, VOCABULARY


@pytest.fixture
def lengths() -> torch.Tensor:
    """Source lengths of a padded batch: the longest, the shortest, and others."""
    return torch.tensor([SOURCE, 1, 4, SOURCE, 2])


@pytest.fixture
def mask(lengths: torch.Tensor) -> torch.Tensor:
    """The mask of ``lengths``, [B, S]."""
    return torch.arange(SOURCE) < lengths.unsqueeze(1)


@pytest.fixture
def source(mask: torch.Tensor) -> torch.Tensor:
    """Source ids [B, S], zero on padding."""
    ids = 4 + torch.arange(BATCH * SOURCE).view(BATCH, SOURCE) * 5 % (VOCABULARY - 4)
    return ids * mask


@pytest.fixture
def target() -> torch.Tensor:
    """Decoder input ids [B, T]."""
    ids = 4 + torch.arange(BATCH * TARGET).view(BATCH, TARGET) * 3 % (VOCABULARY - 4)
    ids[:, 0] = 2
    return ids
