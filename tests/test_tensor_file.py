"""Tensors on disk with what they are: what is written is read, and what is something else is told."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from auxreid.plumbing.base.errors import DataError
from auxreid.plumbing.base.tensor_file import read_about, read_tensors, write_tensors

ABOUT = '{"width": 3}'


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "folder" / "some.safetensors"
    turned = torch.arange(6.0).reshape(2, 3).T.requires_grad_()  # neither contiguous nor without a gradient
    write_tensors(file, {"weight": turned, "count": torch.tensor(7)}, ABOUT, "kind")
    return file


def test_what_is_written_is_read(path):
    about, tensors = read_tensors(path, "thing", "kind")
    said, names = read_about(path, "thing", "kind")
    assert about == said == ABOUT and set(names) == tensors.keys()
    assert tensors.keys() == {"weight", "count"} and int(tensors["count"]) == 7
    assert torch.equal(tensors["weight"], load_file(path)["weight"])
    assert tensors["weight"].tolist() == [[0, 3], [1, 4], [2, 5]] and not tensors["weight"].requires_grad
    _, arrays = read_tensors(path, "thing", "kind", "numpy")
    assert isinstance(arrays["weight"], np.ndarray) and arrays["weight"].tolist() == tensors["weight"].tolist()
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_file_without_tensors_says_what_it_is(tmp_path):
    write_tensors(tmp_path / "none", {}, ABOUT)
    assert read_tensors(tmp_path / "none", "thing") == (ABOUT, {})
    assert read_about(tmp_path / "none", "thing") == (ABOUT, ())


@pytest.mark.parametrize("read", [read_tensors, read_about])
def test_what_is_something_else_is_told(path, read):
    with pytest.raises(DataError, match=r"some.safetensors: not a thing: its header has no entry auxreid"):
        read(path, "thing")
    with pytest.raises(DataError, match=r"gone: no such file, where a thing is needed"):
        read(path.with_name("gone"), "thing")
    with pytest.raises(DataError, match=r"folder: no such file"):
        read(path.parent, "thing")
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"some.safetensors: not a thing: no complete safetensors file"):
        read(path, "thing", "kind")
