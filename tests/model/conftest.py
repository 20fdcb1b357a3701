"""One model per arrangement of heads, and one thread, so that numbers repeat."""

import pytest
import torch
from small_models import HEADS, make_model, small_config

from llamalite.model.transformer import Transformer


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=HEADS)
def model(request) -> Transformer:
    return make_model(small_config(request.param))
