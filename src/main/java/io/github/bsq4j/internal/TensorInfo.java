package io.github.bsq4j.internal;

import io.github.bsq4j.DType;
import io.github.bsq4j.Device;

/** What a tensor is: {@code bsq_tensor_info} in Java's types. The strides are in elements. */
@SuppressWarnings("ArrayRecordComponent") // handed over once; nobody compares two of them
public record TensorInfo(DType dtype, Device device, long[] shape, long[] strides) {}
