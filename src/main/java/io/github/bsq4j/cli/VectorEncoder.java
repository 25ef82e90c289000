package io.github.bsq4j.cli;

import io.github.bsq4j.Batch;
import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.CodeLayout;
import io.github.bsq4j.DType;
import io.github.bsq4j.Device;
import io.github.bsq4j.Losses;
import io.github.bsq4j.Quantization;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** What {@code bsq encode} computes from its vectors, into memory of Java's. */
interface VectorEncoder {
  void encode(MemorySegment indices);

  void pack(MemorySegment bytes);

  /** With the indices, unless that is {@link MemorySegment#NULL}. */
  Losses forward(MemorySegment indices);

  void signMargins(MemorySegment margins);

  /** On the host path. */
  static VectorEncoder onHost(
      BinarySphericalQuantizer quantizer, MemorySegment x, DType dtype, Batch batch) {
    return new VectorEncoder() {
      @Override
      public void encode(MemorySegment indices) {
        quantizer.encode(x, dtype, batch, indices);
      }

      @Override
      public void pack(MemorySegment bytes) {
        quantizer.pack(x, dtype, batch, CodeLayout.BYTES, bytes);
      }

      @Override
      public Losses forward(MemorySegment indices) {
        return quantizer.forward(x, dtype, batch, MemorySegment.NULL, indices);
      }

      @Override
      public void signMargins(MemorySegment margins) {
        quantizer.signMargins(x, dtype, batch, margins);
      }
    };
  }

  /** On tensors of a device, which x is copied to now. */
  static VectorEncoder onDevice(
      BinarySphericalQuantizer quantizer,
      MemorySegment x,
      DType dtype,
      Batch batch,
      Device device,
      Arena arena) {
    QuantizerOptions options = quantizer.options();
    long[] shape =
        options.channelFirst()
            ? new long[] {batch.items(), options.rowLength(), batch.positions()}
            : new long[] {batch.items(), batch.positions(), options.rowLength()};
    Tensor vectors;
    try (Arena temporary = Arena.ofConfined()) {
      vectors = Tensor.copyOf(temporary, x, dtype, shape).to(arena, device);
    }
    return new VectorEncoder() {
      @Override
      public void encode(MemorySegment indices) {
        try (Arena results = Arena.ofConfined()) {
          read(quantizer.encode(results, vectors), indices);
        }
      }

      @Override
      public void pack(MemorySegment bytes) {
        try (Arena results = Arena.ofConfined()) {
          read(quantizer.pack(results, vectors, CodeLayout.BYTES), bytes);
        }
      }

      @Override
      public Losses forward(MemorySegment indices) {
        try (Arena results = Arena.ofConfined()) {
          Quantization result =
              batch.mask().isEmpty()
                  ? quantizer.forward(results, vectors)
                  : quantizer.forward(results, vectors, batch.maskTensor(results, device));
          if (!indices.equals(MemorySegment.NULL)) {
            read(result.indices(), indices);
          }
          return result.losses();
        }
      }

      @Override
      public void signMargins(MemorySegment margins) {
        try (Arena results = Arena.ofConfined()) {
          read(quantizer.signMargins(results, vectors), margins);
        }
      }

      private void read(Tensor from, MemorySegment to) {
        try (Arena copy = Arena.ofConfined()) {
          to.copyFrom(from.to(copy, Device.CPU).asSegment());
        }
      }
    };
  }
}
