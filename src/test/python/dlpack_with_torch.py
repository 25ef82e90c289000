"""PyTorch and libbsq.so exchange tensors by DLPack in one process, without a copy.

Random tensors of PyTorch, of several types and strides, go into libbsq.so, which encodes them where
they are; indices and views come back the same way. Exits with 0 if all numbers are right, memory is
shared, and everything is freed.

    dlpack_with_torch.py LIBBSQ SEED
"""

import ctypes
import gc
import sys

import numpy
import torch  # loads LibTorch, which libbsq.so finds by name

NAME = b"dltensor_versioned"
USED = b"used_dltensor_versioned"

python = ctypes.pythonapi
python.PyCapsule_New.restype = ctypes.py_object
python.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
python.PyCapsule_GetPointer.restype = ctypes.c_void_p
python.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
python.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]


class Library:
    """The functions of bsq.h, with exceptions for statuses."""

    def __init__(self, path):
        self.bsq = ctypes.CDLL(path)
        self.bsq.bsq_status_message.restype = ctypes.c_char_p
        self.bsq.bsq_debug_live_handles.restype = ctypes.c_int64

    def call(self, name, *args):
        function = getattr(self.bsq, name)
        function.restype = ctypes.c_void_p
        status = function(*args)
        if status is not None:
            status = ctypes.c_void_p(status)
            message = self.bsq.bsq_status_message(status).decode()
            self.bsq.bsq_status_free(status)
            raise ValueError(message)

    def make(self, name, *args):
        out = ctypes.c_void_p()
        self.call(name, *args, ctypes.byref(out))
        return out

    def options(self, code_dim):
        options = ctypes.create_string_buffer(160)
        self.call("bsq_options_init", options, ctypes.c_uint64(160), ctypes.c_int64(code_dim))
        return options

    def take(self, tensor):
        """A tensor of PyTorch as one of libbsq.so, as every consumer of DLPack does it."""
        capsule = tensor.__dlpack__(max_version=(1, 0))
        pointer = python.PyCapsule_GetPointer(capsule, NAME)
        taken = self.make("bsq_tensor_from_dlpack", ctypes.c_void_p(pointer))
        python.PyCapsule_SetName(capsule, USED)
        return taken

    def give(self, tensor):
        """The reverse: an object that every consumer takes."""
        managed = self.make("bsq_tensor_to_dlpack", tensor)
        return Offer(python.PyCapsule_New(managed, NAME, None))

    def data(self, tensor):
        return self.make("bsq_tensor_data", tensor).value

    def free(self, *tensors):
        for tensor in tensors:
            self.bsq.bsq_tensor_free(tensor)

    def live(self):
        gc.collect()
        return self.bsq.bsq_debug_live_handles()


class Offer:
    """What libraries ask for a capsule."""

    def __init__(self, capsule):
        self.capsule = capsule

    def __dlpack__(self, **_):
        return self.capsule

    def __dlpack_device__(self):
        return (1, 0)


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def users(tensor):
    """How many references to a tensor and to its memory there are."""
    return tensor._use_count() + torch._C._storage_Use_Count(tensor.untyped_storage()._cdata)


def variants(generator, dtype):
    """Tensors of shape [..., 7] in all kinds of strides."""
    wide = torch.randn(6, 5, 14, generator=generator, dtype=torch.float64).to(dtype)
    yield wide[:, :, :7].contiguous()
    yield wide[:, :, :7]
    yield wide[1:5:2, :, 1::2]
    yield wide[:, 2, 3:10].expand(3, 6, 7)
    yield wide.reshape(7, 60).t()
    yield wide[0, 0, :7]
    yield wide[:0, :, :7]


def check_encode(bsq, x):
    options = bsq.options(7)
    before = users(x)
    taken = bsq.take(x)
    check(users(x) > before, "the tensor is not kept alive")
    check(x.numel() == 0 or bsq.data(taken) == x.data_ptr(), "the memory is not shared")
    encoded = bsq.make("bsq_tensor_encode", options, taken)
    back = torch.from_dlpack(bsq.give(taken))
    bsq.free(taken)
    check(users(x) > before, "the view does not keep the tensor alive")
    check(torch.equal(back, x) and back.stride() == x.stride(), "the tensor came back changed")
    del back
    gc.collect()
    check(users(x) == before, "the tensor was not given back")

    indices = torch.from_dlpack(bsq.give(encoded))
    check(indices.numel() == 0 or indices.data_ptr() == bsq.data(encoded), "indices were copied")
    bsq.free(encoded)
    weights = 2 ** torch.arange(6, -1, -1)
    expected = ((x.double() > 0) * weights).sum(-1)
    check(indices.dtype == torch.int64, "indices are not int64")
    check(torch.equal(indices.reshape(expected.shape), expected), "the indices are wrong")


def check_mask(bsq, generator):
    """A mask of bools is one of bytes."""
    x = torch.randn(50, 7, generator=generator)
    mask = torch.rand(50, generator=generator) < 0.5
    taken, bools = bsq.take(x), bsq.take(mask)
    result = ctypes.c_void_p()
    bsq.call("bsq_tensor_forward", bsq.options(7), taken, bools, ctypes.byref(result))
    bsq.free(taken, bools)
    losses = (ctypes.c_double * 8)()
    ctypes.cast(losses, ctypes.POINTER(ctypes.c_uint64))[0] = 64
    bsq.call("bsq_quantization_losses", result, losses)
    rows = ctypes.cast(losses, ctypes.POINTER(ctypes.c_int64))[6]
    check(rows == int(mask.sum()), "the mask counts other rows")
    bsq.bsq.bsq_quantization_free(result)


def check_numpy(bsq):
    """NumPy heeds that nobody may write."""
    x = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    taken = bsq.take(x)
    array = numpy.from_dlpack(bsq.give(taken))
    bsq.free(taken)
    check(numpy.array_equal(array, x.numpy()), "NumPy got other numbers")
    check(not array.flags.writeable, "NumPy would write")


def check_refusals(bsq):
    for tensor, message in [
        (torch.tensor(1.0), "managed has rank 0, expected 1 to 64"),
        (torch.zeros(2, dtype=torch.complex64), "managed has elements of DLPack's type code 5"),
        (torch.zeros(2, dtype=torch.int16), "managed has elements of DLPack's type code 0 with 16"),
    ]:
        before = users(tensor)
        try:
            bsq.take(tensor)
        except ValueError as e:
            check(message in str(e), str(e))
        else:
            raise AssertionError("not refused: " + message)
        gc.collect()  # the capsule, which still owns it
        check(users(tensor) == before, "a refused tensor is not freed")


def main():
    bsq = Library(sys.argv[1])
    generator = torch.Generator().manual_seed(int(sys.argv[2]))
    types = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
    for dtype in types:
        for x in variants(generator, dtype):
            check_encode(bsq, x)
    check_mask(bsq, generator)
    check_numpy(bsq)
    check_refusals(bsq)
    check(bsq.live() == 0, f"{bsq.live()} live handles")


if __name__ == "__main__":
    main()
