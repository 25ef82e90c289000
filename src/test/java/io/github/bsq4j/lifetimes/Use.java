package io.github.bsq4j.lifetimes;

import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.DType;
import io.github.bsq4j.Device;
import io.github.bsq4j.LossSums;
import io.github.bsq4j.Quantization;
import io.github.bsq4j.ResidualQuantization;
import io.github.bsq4j.ResidualQuantizer;
import io.github.bsq4j.Tensor;
import io.github.bsq4j.device.TestDevice;
import java.lang.foreign.Arena;

/** Everything that can be done with a tensor or a quantization which touches native memory. */
enum Use {
  TO_FLOAT_ARRAY((subjects, _) -> subjects.x.toFloatArray()),
  TO_DOUBLE_ARRAY((subjects, _) -> subjects.x.toDoubleArray()),
  TO_LONG_ARRAY((subjects, _) -> subjects.indices.toLongArray()),
  TO_INT_ARRAY((subjects, _) -> subjects.bytes.toIntArray()),
  TO_BYTE_ARRAY((subjects, _) -> subjects.bytes.toByteArray()),
  AS_SEGMENT((subjects, _) -> subjects.onCpu.asSegment()),
  POINTER((subjects, _) -> subjects.x.pointer()),
  CHECK((subjects, _) -> subjects.x.check()),
  PERMUTE((subjects, _) -> subjects.x.permute(1, 0)),
  NARROW((subjects, _) -> subjects.x.narrow(0, 1, 1)),
  LOSSES((subjects, _) -> subjects.quantization.losses()),
  AUX_LOSS((subjects, _) -> subjects.quantization.auxLoss()),
  PER_SAMPLE_ENTROPY((subjects, _) -> subjects.quantization.perSampleEntropy()),
  CODEBOOK_ENTROPY((subjects, _) -> subjects.quantization.codebookEntropy()),
  LOSS_SUMS((subjects, _) -> subjects.quantization.lossSums()),
  CHECK_QUANTIZATION((subjects, _) -> subjects.quantization.check()),
  READ_QUANTIZED((subjects, _) -> subjects.quantization.quantized().toFloatArray()),
  READ_INDICES((subjects, _) -> subjects.quantization.indices().toLongArray()),
  TO_DEVICE((subjects, arena) -> subjects.x.to(arena, Device.CPU), true),
  TO_DEVICE_WITHOUT_WAITING((subjects, arena) -> subjects.x.toAsync(arena, Device.CPU), true),
  TO_DLPACK((subjects, arena) -> subjects.x.toDlpack(arena), true),
  TO_TYPE((subjects, arena) -> subjects.x.to(arena, DType.FLOAT16), true),
  FORWARD((subjects, arena) -> subjects.quantizer.forward(arena, subjects.x), true),
  FORWARD_WITH_MASK(
      (subjects, arena) -> subjects.quantizer.forward(arena, subjects.x, subjects.bytes), true),
  ENCODE((subjects, arena) -> subjects.quantizer.encode(arena, subjects.x), true),
  DECODE((subjects, arena) -> subjects.quantizer.decode(arena, subjects.indices), true),
  DECODE_TO_TYPE(
      (subjects, arena) -> subjects.quantizer.decode(arena, subjects.indices, DType.FLOAT64), true),
  BITS_TO_CODES((subjects, arena) -> subjects.quantizer.bitsToCodes(arena, subjects.x), true),
  CODES_TO_INDICES((subjects, arena) -> subjects.quantizer.codesToIndices(arena, subjects.x), true),
  BACKWARD((subjects, arena) -> subjects.quantization.backward(arena, subjects.x, 1), true),
  BACKWARD_OF_LOSS((subjects, arena) -> subjects.quantization.backward(arena, 1), true),
  BACKWARD_OF_SUMS(
      (subjects, arena) -> subjects.quantization.backward(arena, subjects.x, 1, subjects.sums),
      true),
  BACKWARD_OF_LOSS_OF_SUMS(
      (subjects, arena) -> subjects.quantization.backward(arena, 1, subjects.sums), true),
  LEVEL_LOSSES((subjects, _) -> subjects.levels.losses()),
  LEVEL_AUX_LOSS((subjects, _) -> subjects.levels.auxLoss()),
  READ_LEVELS_QUANTIZED((subjects, _) -> subjects.levels.quantized().toFloatArray()),
  READ_LEVELS_INDICES((subjects, _) -> subjects.levels.indices().toLongArray()),
  READ_A_LEVEL((subjects, _) -> subjects.levels.levels().get(1).quantized().toFloatArray()),
  LEVELS_FORWARD((subjects, arena) -> subjects.residual.forward(arena, subjects.x), true),
  LEVELS_FORWARD_WITH_MASK(
      (subjects, arena) -> subjects.residual.forward(arena, subjects.x, subjects.bytes), true),
  LEVELS_ENCODE((subjects, arena) -> subjects.residual.encode(arena, subjects.x), true),
  LEVELS_DECODE(
      (subjects, arena) ->
          subjects.residual.decode(arena, subjects.levels.indices(), 2, DType.FLOAT32),
      true),
  LEVELS_CODES_TO_INDICES(
      (subjects, arena) -> subjects.residual.codesToIndices(arena, subjects.levels.quantized()),
      true),
  RESIDUAL((subjects, arena) -> subjects.residual.residual(arena, 1, subjects.x), true),
  LEVELS_BACKWARD((subjects, arena) -> subjects.levels.backward(arena, subjects.x, 1, 2), true),
  LEVELS_BACKWARD_OF_LOSS((subjects, arena) -> subjects.levels.backward(arena, 1), true);

  static final float[] X = {1, -2, 3, -1, 4, 5};

  /**
   * What is used; all but the quantizer and the sums lives in one arena. All tensors but one are on
   * the tests' device.
   */
  record Subjects(
      BinarySphericalQuantizer quantizer,
      Tensor onCpu,
      Tensor x,
      Tensor indices,
      Tensor bytes,
      Quantization quantization,
      LossSums sums,
      ResidualQuantizer residual,
      ResidualQuantization levels) {
    static Subjects in(Arena arena) {
      BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(3);
      ResidualQuantizer residual = ResidualQuantizer.create(quantizer.options(), 2);
      Tensor onCpu = Tensor.of(arena, X, 2, 3);
      Tensor x = TestDevice.put(arena, onCpu);
      Quantization quantization = quantizer.forward(arena, x);
      return new Subjects(
          quantizer,
          onCpu,
          x,
          TestDevice.put(arena, Tensor.of(arena, new long[] {5, 2})),
          TestDevice.put(arena, Tensor.of(arena, new byte[] {5, 2})),
          quantization,
          quantization.lossSums(),
          residual,
          residual.forward(arena, x));
    }
  }

  private interface Call {
    void on(Subjects subjects, Arena arena);
  }

  @SuppressWarnings("ImmutableEnumChecker") // lambdas without state
  private final Call call;

  private final boolean makes;

  Use(Call call) {
    this(call, false);
  }

  Use(Call call, boolean makes) {
    this.call = call;
    this.makes = makes;
  }

  /** Uses these. What is made, except views, lives in the arena. */
  void on(Subjects subjects, Arena arena) {
    call.on(subjects, arena);
  }

  /** Whether it makes something in the arena that it gets. */
  boolean makesSomething() {
    return makes;
  }
}
