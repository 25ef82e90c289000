package io.github.bsq4j;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.lang.foreign.Arena;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DeviceTest {
  @Test
  void names() {
    assertEquals(Device.CPU, Device.parse("cpu"));
    assertEquals(Device.cuda(0), Device.parse("cuda"));
    assertEquals(new Device(Device.Type.CUDA, 12), Device.parse("cuda:12"));
    assertEquals("cpu", Device.CPU.toString());
    assertEquals("cuda:0", Device.cuda(0).toString());
    assertEquals(Device.cuda(999_999_999), Device.parse("cuda:999999999"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "gpu",
        "CPU",
        "cpu:0",
        "cuda:",
        "cuda:-1",
        "cuda:+1",
        "cuda:01",
        "cuda:1 ",
        "cuda:1\n",
        "cuda:1000000000",
        "cuda:١"
      })
  void namesOfNothing(String name) {
    assertRefused(
        "device is \"" + name + "\", expected cpu, cuda or cuda:N, N at least 0",
        () -> Device.parse(name));
  }

  @Test
  void indicesThatMakeNoSense() {
    assertRefused("index is -1, expected at least 0", () -> Device.cuda(-1));
    assertRefused("index is 1, expected 0 for the CPU", () -> new Device(Device.Type.CPU, 1));
    assertEquals(
        "type", assertThrows(NullPointerException.class, () -> new Device(null, 0)).getMessage());
    assertEquals(
        "name", assertThrows(NullPointerException.class, () -> Device.parse(null)).getMessage());
  }

  @Test
  void theCpuIsAlwaysThere() {
    assertTrue(Device.CPU.isAvailable());
    assertTrue(Device.CPU.problem().isEmpty());
  }

  @Test
  void aDeviceThatIsMissingSaysWhyEverywhere() {
    Device missing = Device.cuda(99);
    String problem = missing.problem().orElseThrow();
    try (Arena arena = Arena.ofConfined()) {
      Tensor tensor = Tensor.of(arena, new float[1]);
      for (Executable call :
          new Executable[] {
            () -> Tensor.empty(arena, DType.FLOAT32, missing, 1),
            () -> Tensor.zeros(arena, DType.FLOAT32, missing, 1),
            () -> tensor.to(arena, missing),
            () -> tensor.toAsync(arena, missing),
            () -> missing.synchronize(),
            () -> CudaStream.of(missing),
            () -> Tensor.borrow(arena, arena.allocate(4, 4), DType.FLOAT32, missing, 1)
          }) {
        BsqException e = assertThrows(BsqException.class, call);
        assertEquals(problem, e.getMessage());
        assertEquals(BsqException.Code.UNSUPPORTED, e.code());
      }
    }
  }

  @Test
  void withoutCudaItSaysWhatIsMissing() {
    assumeFalse(Device.cuda(0).isAvailable(), "there is a GPU");
    String problem = Device.cuda(0).problem().orElseThrow();
    assertTrue(problem.contains("CUDA"), problem);
  }

  @Test
  void withoutCudaThereIsNoPinnedMemory() {
    assumeFalse(Device.cuda(0).isAvailable(), "there is a GPU");
    String problem = Device.cuda(0).problem().orElseThrow();
    try (Arena arena = Arena.ofConfined()) {
      BsqException e =
          assertThrows(BsqException.class, () -> Tensor.pinned(arena, DType.FLOAT32, 2, 3));
      assertEquals(problem.replace("cuda:0 is not", "page-locked memory is not"), e.getMessage());
      assertEquals(BsqException.Code.UNSUPPORTED, e.code());
      assertEquals(
          "the tensor is not one that Tensor.pinned made, and others never change",
          assertThrows(
                  IllegalStateException.class,
                  () -> Tensor.of(arena, new float[1]).writableSegment())
              .getMessage());
    }
  }

  @Test
  void theCpuHasNoStreamsAndNothingToWaitFor() {
    Device.CPU.synchronize();
    assertRefused(
        "device is cpu, which has no streams, expected a CUDA device",
        () -> CudaStream.of(Device.CPU));
    assertEquals(
        "device", assertThrows(NullPointerException.class, () -> CudaStream.of(null)).getMessage());
  }

  @Test
  void copiesWithoutWaitingThatStayOnTheCpu() {
    try (Arena arena = Arena.ofConfined()) {
      Tensor x = Tensor.of(arena, new float[] {1, 2, 3, 4}, 2, 2);
      assertEquals(x.pointer().address(), x.toAsync(arena, Device.CPU).pointer().address());
      assertArrayEquals(
          new float[] {1, 3, 2, 4}, x.permute(1, 0).toAsync(arena, Device.CPU).toFloatArray());
    }
  }

  @Test
  void memoryThatCannotBeHadIsToldInNumbers() throws Exception {
    long size = 1L << 60;
    try (Arena arena = Arena.ofConfined()) {
      DeviceOutOfMemoryException e =
          assertThrows(
              DeviceOutOfMemoryException.class,
              () -> Tensor.empty(arena, DType.UINT8, Device.CPU, size));
      assertEquals(BsqException.Code.OUT_OF_MEMORY, e.code());
      assertEquals(Device.CPU, e.device());
      assertEquals(size, e.requestedBytes().orElseThrow());
      long free = e.freeBytes().orElseThrow();
      long total = e.totalBytes().orElseThrow();
      assertTrue(0 < free && free <= total, e::getMessage);
      assertEquals(
          "could not allocate 1152921504606846976 bytes on cpu for a tensor of shape"
              + " [1152921504606846976] and type uint8: "
              + free
              + " of its "
              + total
              + " bytes are free; smaller batches need less, and freed tensors give theirs back",
          e.getMessage());
      assertSame(e, copyOf(e));
    }
  }

  private static void assertSame(
      DeviceOutOfMemoryException expected, DeviceOutOfMemoryException actual) {
    assertEquals(expected.getMessage(), actual.getMessage());
    assertEquals(expected.code(), actual.code());
    assertEquals(expected.device(), actual.device());
    assertEquals(expected.requestedBytes(), actual.requestedBytes());
    assertEquals(expected.freeBytes(), actual.freeBytes());
    assertEquals(expected.totalBytes(), actual.totalBytes());
  }

  /** As another process gets it. */
  private static DeviceOutOfMemoryException copyOf(DeviceOutOfMemoryException e) throws Exception {
    var bytes = new ByteArrayOutputStream();
    try (var out = new ObjectOutputStream(bytes)) {
      out.writeObject(e);
    }
    try (var in = new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray()))) {
      return (DeviceOutOfMemoryException) in.readObject();
    }
  }

  private static void assertRefused(String message, Executable call) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, call).getMessage());
  }
}
