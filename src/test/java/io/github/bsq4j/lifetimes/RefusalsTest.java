package io.github.bsq4j.lifetimes;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.bsq4j.BinarySphericalQuantizer;
import io.github.bsq4j.BsqException;
import io.github.bsq4j.DType;
import io.github.bsq4j.Device;
import io.github.bsq4j.Implementation;
import io.github.bsq4j.LossSums;
import io.github.bsq4j.Quantization;
import io.github.bsq4j.QuantizerOptions;
import io.github.bsq4j.Tensor;
import io.github.bsq4j.device.OnDevice;
import io.github.bsq4j.device.TestDevice;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** What is refused makes nothing: neither in the arena, which stays open, nor outside. */
@OnDevice
class RefusalsTest {
  private final BinarySphericalQuantizer quantizer = BinarySphericalQuantizer.create(3);

  @Test
  void tensorsThatCannotBe() {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment data = arena.allocate(64, 8);
      long[] shape = {2, 3};
      long[] tooManyDimensions = new long[65];
      List<Executable> refused =
          List.of(
              () -> Tensor.of(arena, Use.X, 2, 4),
              () -> Tensor.of(arena, Use.X, -2, -3),
              () -> Tensor.of(arena, Use.X, tooManyDimensions),
              () -> Tensor.empty(arena, DType.FLOAT32, Device.CPU),
              () -> Tensor.zeros(arena, DType.FLOAT64, Device.CPU, Long.MAX_VALUE, 2),
              () -> Tensor.copyOf(arena, data, DType.FLOAT32, 17),
              () -> Tensor.borrow(arena, data, DType.FLOAT32, Device.CPU, 17),
              () -> Tensor.borrow(arena, data.asSlice(1), DType.FLOAT32, Device.CPU, 1),
              () -> Tensor.borrow(arena, data, DType.UINT8, Device.CPU, shape, new long[] {3}),
              () -> Tensor.borrow(arena, data, DType.UINT8, Device.CPU, shape, new long[] {-3, 1}),
              () -> Tensor.borrow(arena, data, DType.UINT8, Device.CPU, shape, new long[] {62, 1}),
              () ->
                  Tensor.borrow(arena, MemorySegment.ofArray(Use.X), DType.FLOAT32, Device.CPU, 6));
      for (Executable call : refused) {
        assertThrows(IllegalArgumentException.class, call);
        assertEquals(0, LiveHandles.count());
      }
    }
  }

  @Test
  void inputsThatCannotBeUsed() {
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = TestDevice.put(arena, Tensor.of(arena, Use.X, 2, 3));
      Tensor wide = TestDevice.put(arena, Tensor.of(arena, Use.X, 1, 6));
      Tensor whole = TestDevice.put(arena, Tensor.of(arena, new long[] {1, 2, 3}));
      Quantization quantization = quantizer.forward(arena, x);
      LossSums otherSums = quantizer.withInverseTemperature(1).forward(arena, x).lossSums();
      long live = LiveHandles.count();
      List<Executable> refused =
          List.of(
              () -> quantizer.forward(arena, wide),
              () -> quantizer.forward(arena, whole),
              () -> quantizer.forward(arena, x, x),
              () -> quantizer.encode(arena, wide),
              () -> quantizer.encode(arena, whole),
              () -> quantizer.decode(arena, x),
              () -> quantizer.decode(arena, whole, DType.INT32),
              () -> quantizer.codesToIndices(arena, wide),
              () -> quantization.backward(arena, wide, 1),
              () -> quantization.backward(arena, whole, 1),
              () -> quantization.backward(arena, 1, otherSums),
              () -> quantization.backward(arena, wide, 1, quantization.lossSums()),
              () -> x.permute(0, 0));
      for (Executable call : refused) {
        assertThrows(IllegalArgumentException.class, call);
        assertEquals(live, LiveHandles.count());
      }
      assertThrows(IndexOutOfBoundsException.class, () -> x.narrow(0, 1, 2));
      assertThrows(IllegalStateException.class, () -> x.toLongArray());
      assertEquals(live, LiveHandles.count());
    }
  }

  /** The kernels have the result's memory in hand when they find the value. */
  @Test
  void valuesThatTheKernelsRefuse() {
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.of(arena, new float[] {1, 1, 1, 1, Float.NaN, 1}, 2, 3);
      Tensor indices = Tensor.of(arena, new long[] {7, 8});
      Tensor zeros = Tensor.zeros(arena, DType.FLOAT32, Device.CPU, 2, 3);
      assertRefusedAtOnce("x[1, 1] is nan", () -> quantizer.forward(arena, x));
      assertRefusedAtOnce("x[1, 1] is nan", () -> quantizer.encode(arena, x));
      assertRefusedAtOnce("indices[1] is 8", () -> quantizer.decode(arena, indices));
      assertRefusedAtOnce("codes[0, 0] is 0", () -> quantizer.codesToIndices(arena, zeros));
    }
  }

  private static void assertRefusedAtOnce(String message, Executable call) {
    long live = LiveHandles.count();
    assertInvalid(message, call);
    assertEquals(live, LiveHandles.count());
  }

  /** With operators all exists before the first reading call tells. */
  @Test
  void valuesThatOperatorsRefuse() {
    BinarySphericalQuantizer operators =
        BinarySphericalQuantizer.create(
            QuantizerOptions.builder(3).implementation(Implementation.OPERATORS).build());
    try (Arena arena = Arena.ofConfined()) {
      Tensor onCpu = Tensor.of(arena, new float[] {1, 1, 1, 1, Float.NaN, 1}, 2, 3);
      Tensor x = TestDevice.put(arena, onCpu);
      Quantization quantization = operators.forward(arena, x);
      Tensor gradient = quantization.backward(arena, 1);
      Tensor view = gradient.narrow(0, 0, 1);
      Tensor decoded = operators.decode(arena, quantization.indices());
      List<Executable> readings =
          List.of(
              quantization::check,
              quantization::losses,
              () -> quantization.quantized().toFloatArray(),
              () -> quantization.indices().toLongArray(),
              gradient::check,
              view::toFloatArray,
              () -> view.to(arena, DType.FLOAT64).toDoubleArray(),
              decoded::toFloatArray);
      for (Executable reading : readings) {
        assertInvalid("x[1, 1] is nan", reading);
        assertInvalid("x[1, 1] is nan", reading); // every time
      }
      x.check(); // the input itself is what it is
    }
  }

  private static void assertInvalid(String message, Executable call) {
    BsqException e = assertThrows(BsqException.class, call);
    assertEquals(BsqException.Code.INVALID_ARGUMENT, e.code());
    assertTrue(e.getMessage().startsWith(message), e::getMessage);
  }

  @Test
  void memoryThatNoMachineHas() {
    long huge = 1L << 50;
    try (Arena arena = Arena.ofConfined()) {
      List<Executable> refused =
          List.of(
              () -> Tensor.empty(arena, DType.FLOAT32, TestDevice.DEVICE, huge),
              () -> Tensor.zeros(arena, DType.FLOAT32, TestDevice.DEVICE, huge));
      for (Executable call : refused) {
        BsqException e = assertThrows(BsqException.class, call);
        assertEquals(BsqException.Code.OUT_OF_MEMORY, e.code());
        assertTrue(
            e.getMessage()
                .startsWith(
                    "could not allocate 4503599627370496 bytes on "
                        + TestDevice.DEVICE
                        + " for a tensor of shape [1125899906842624] and type float32: "),
            e::getMessage);
        assertEquals(0, LiveHandles.count());
      }
    }
  }

  @Test
  void aDeviceThatIsNotThere() {
    Device device = Device.cuda(1000);
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.of(arena, Use.X);
      long live = LiveHandles.count();
      List<Executable> refused =
          List.of(
              () -> Tensor.zeros(arena, DType.FLOAT32, device, 1),
              () -> Tensor.borrow(arena, x.asSegment(), DType.FLOAT32, device, 1),
              () -> x.to(arena, device));
      for (Executable call : refused) {
        BsqException e = assertThrows(BsqException.class, call);
        assertEquals(BsqException.Code.UNSUPPORTED, e.code());
        assertEquals(device.problem().orElseThrow(), e.getMessage());
        assertEquals(live, LiveHandles.count());
      }
    }
  }
}
