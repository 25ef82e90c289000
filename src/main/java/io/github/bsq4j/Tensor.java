package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import io.github.bsq4j.internal.HostBuffers;
import io.github.bsq4j.internal.NativeTensors;
import io.github.bsq4j.internal.TensorInfo;
import io.github.bsq4j.internal.TensorShapes;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * An array of numbers of rank 1 to 64 in the native memory of a {@link Device}.
 *
 * <p><b>Lifetime.</b> A tensor lives in the {@link Arena} that it was made with, and is freed when
 * that closes; in an automatic arena, when nothing refers to it any more. Then, and on other
 * threads than that of a confined arena, it can be used as little as a {@link MemorySegment} of
 * that arena: methods throw {@link IllegalStateException} or {@link WrongThreadException}, and an
 * arena does not close while a call uses one of its tensors. A tensor keeps all that it needs
 * alive, so results may outlive what they were computed from.
 *
 * <p><b>Threads.</b> Tensors are immutable, but for what others do to memory that is borrowed, of
 * another library, or pinned. All threads that its arena admits may share one; on a GPU those on
 * other {@linkplain CudaStream streams} than the one that it was made on, once that has been waited
 * for.
 *
 * <p><b>Waiting.</b> Nothing waits for a GPU except what reads values: {@link #check}, {@link
 * #asSegment}, {@link #toFloatArray} and its siblings, and {@link #to(Arena, Device)} from or to
 * the CPU. They wait for the stream that is current for their thread. Where a tensor comes from
 * values that are refused, all but {@code to} throw a {@link BsqException} with the position and
 * the value, unless the call that computed it could tell already.
 *
 * <p>All methods throw {@link NullPointerException} for null, which they name, and {@link
 * DeviceOutOfMemoryException}, which tells how much there was, where memory cannot be had. Methods
 * that make tensors throw {@link IllegalStateException} or {@link WrongThreadException} where their
 * arena is closed or belongs to another thread; nothing leaks. Those that take a device throw one
 * with code {@link BsqException.Code#UNSUPPORTED} where it cannot be used.
 */
public final class Tensor {
  private final Arena arena;
  private final MemorySegment handle;
  private final DType dtype;
  private final Device device;
  private final long[] shape;
  private final long[] strides;
  private final boolean writable;

  /** The tensor of a handle that is bound to this arena. */
  Tensor(Arena arena, MemorySegment handle) {
    this(arena, handle, NativeTensors.describe(handle), false);
  }

  private Tensor(Arena arena, MemorySegment handle, TensorInfo info, boolean writable) {
    this.arena = arena;
    this.handle = handle;
    this.dtype = info.dtype();
    this.device = info.device();
    this.shape = info.shape();
    this.strides = info.strides();
    this.writable = writable;
  }

  // Making tensors

  /**
   * A copy of these numbers, in row-major order, as a FLOAT32 tensor on the CPU.
   *
   * @param shape by default one dimension with all values
   * @throws IllegalArgumentException if the shape is none, or is not that of so many values
   */
  public static Tensor of(Arena arena, float[] values, long... shape) {
    requireNonNull(values, "values");
    return of(arena, MemorySegment.ofArray(values), DType.FLOAT32, shape);
  }

  /** As {@link #of(Arena, float[], long...)}, of FLOAT64. */
  public static Tensor of(Arena arena, double[] values, long... shape) {
    requireNonNull(values, "values");
    return of(arena, MemorySegment.ofArray(values), DType.FLOAT64, shape);
  }

  /** As {@link #of(Arena, float[], long...)}, of INT64. */
  public static Tensor of(Arena arena, long[] values, long... shape) {
    requireNonNull(values, "values");
    return of(arena, MemorySegment.ofArray(values), DType.INT64, shape);
  }

  /** As {@link #of(Arena, float[], long...)}, of INT32. */
  public static Tensor of(Arena arena, int[] values, long... shape) {
    requireNonNull(values, "values");
    return of(arena, MemorySegment.ofArray(values), DType.INT32, shape);
  }

  /** As {@link #of(Arena, float[], long...)}, of UINT8: the bytes count as 0 to 255. */
  public static Tensor of(Arena arena, byte[] values, long... shape) {
    requireNonNull(values, "values");
    return of(arena, MemorySegment.ofArray(values), DType.UINT8, shape);
  }

  private static Tensor of(Arena arena, MemorySegment values, DType dtype, long[] shape) {
    requireNonNull(shape, "shape");
    long count = values.byteSize() / dtype.byteSize();
    long[] shapeOrDefault = shape.length == 0 ? new long[] {count} : shape;
    long expected = TensorShapes.elementCount(shapeOrDefault, dtype);
    if (count != expected) {
      throw new IllegalArgumentException(
          "values has %d elements, but shape %s has %d"
              .formatted(count, Arrays.toString(shape), expected));
    }
    return copyOf(arena, values, dtype, shapeOrDefault);
  }

  /**
   * A copy of a segment's first elements, in row-major order and native byte order, as a tensor on
   * the CPU.
   *
   * @param data native memory of any alignment, or an array of the type or of bytes
   * @throws IllegalArgumentException if the shape is none, or {@code data} is too short or an array
   *     of another type
   */
  public static Tensor copyOf(Arena arena, MemorySegment data, DType dtype, long... shape) {
    long byteSize = byteSize(dtype, shape);
    MemorySegment elements = HostBuffers.elements("data", data, byteSize, dtype.layout());
    Tensor tensor = empty(arena, dtype, Device.CPU, shape);
    tensor.memory().copyFrom(elements); // before anybody else sees the tensor
    return tensor;
  }

  /**
   * A tensor in memory that somebody else owns, without a copy. It lives in the owner's arena, so
   * neither outlives the other; views of it do as well, and all else that is computed from it
   * copies what it needs. Changes of the memory change the tensor; during a call they give
   * unspecified results.
   *
   * <p>Memory of another library, which comes without an arena, is passed as {@code
   * MemorySegment.ofAddress(address).reinterpret(byteSize)}, and has to stay valid as long as the
   * owner's arena is open. On a GPU it must be that device's, and ready for the {@linkplain
   * CudaStream stream} that is current for this thread; before the arena closes, {@link
   * Device#synchronize()} makes sure that nothing reads it any more. Of a mapped file, nobody may
   * cut anything off meanwhile: the operating system then ends the JVM.
   *
   * @param owner the arena that {@code data} belongs to
   * @param data from the first element on; aligned to the element size; may be read-only
   * @param strides in elements, one for each dimension; 0 repeats
   * @throws IllegalArgumentException if the shape or the strides are none, or {@code data} is an
   *     array, of another arena, misaligned or too short
   * @throws BsqException with code {@link BsqException.Code#INVALID_ARGUMENT} if the CUDA driver
   *     knows the memory as that of another device, which the message names
   */
  public static Tensor borrow(
      Arena owner, MemorySegment data, DType dtype, Device device, long[] shape, long[] strides) {
    requireNonNull(owner, "owner");
    requireNonNull(data, "data");
    requireNonNull(dtype, "dtype");
    requireNonNull(device, "device");
    requireNonNull(shape, "shape");
    requireNonNull(strides, "strides");
    if (!data.isNative()) {
      throw new IllegalArgumentException(
          "data is an array on Java's heap, which no tensor can borrow: use copyOf");
    }
    if (!data.scope().equals(owner.scope()) && !data.scope().equals(Arena.global().scope())) {
      throw new IllegalArgumentException(
          "data belongs to another arena than owner, expected the same, since they must live"
              + " equally long; copyOf takes data of any arena");
    }
    TensorShapes.elementCount(shape, dtype);
    long extent = TensorShapes.extent(shape, strides);
    if (data.byteSize() / dtype.byteSize() < extent) {
      throw new IllegalArgumentException(
          "data has %d bytes, but shape %s with strides %s needs %d elements of %d bytes"
              .formatted(
                  data.byteSize(),
                  Arrays.toString(shape),
                  Arrays.toString(strides),
                  extent,
                  dtype.byteSize()));
    }
    if (data.address() % dtype.byteSize() != 0) {
      throw new IllegalArgumentException(
          "data has address 0x%x, expected a multiple of %d for %s"
              .formatted(data.address(), dtype.byteSize(), dtype));
    }
    return new Tensor(owner, NativeTensors.borrow(owner, data, dtype, device, shape, strides));
  }

  /**
   * A tensor in memory that somebody else owns, in row-major order without gaps; see {@link
   * #borrow(Arena, MemorySegment, DType, Device, long[], long[])}.
   */
  public static Tensor borrow(
      Arena owner, MemorySegment data, DType dtype, Device device, long... shape) {
    requireNonNull(shape, "shape");
    return borrow(owner, data, dtype, device, shape, TensorShapes.contiguousStrides(shape));
  }

  /**
   * A tensor whose elements are not set: memory that other native code fills through {@link
   * #pointer()} before the tensor's first use.
   *
   * @throws IllegalArgumentException if the shape is none
   */
  public static Tensor empty(Arena arena, DType dtype, Device device, long... shape) {
    byteSize(dtype, shape);
    requireNonNull(device, "device");
    return new Tensor(arena, NativeTensors.empty(arena, dtype, device, shape));
  }

  /**
   * A tensor of zeros.
   *
   * @throws IllegalArgumentException if the shape is none
   */
  public static Tensor zeros(Arena arena, DType dtype, Device device, long... shape) {
    byteSize(dtype, shape);
    requireNonNull(device, "device");
    return new Tensor(arena, NativeTensors.zeros(arena, dtype, device, shape));
  }

  /**
   * A tensor on the CPU in page-locked memory, which a GPU copies from and to while the CPU goes
   * on: see {@link #toAsync}. Its elements are not set; {@link #writableSegment()} sets them. It is
   * slow to make, and the operating system cannot swap it out: for buffers that are used again.
   *
   * @throws IllegalArgumentException if the shape is none
   * @throws BsqException with code {@link BsqException.Code#UNSUPPORTED} without a GPU
   */
  public static Tensor pinned(Arena arena, DType dtype, long... shape) {
    byteSize(dtype, shape);
    MemorySegment handle = NativeTensors.pinned(arena, dtype, shape);
    return new Tensor(arena, handle, NativeTensors.describe(handle), true);
  }

  /**
   * A tensor of another native library, without a copy: it takes a {@code DLManagedTensorVersioned}
   * of <a href="https://dmlc.github.io/dlpack">DLPack</a> 1.x, whose deleter is called when the
   * arena closes, on the thread that closes it; later where an export of {@link #toDlpack} shares
   * the memory. Where this method throws, {@code managed} is still the caller's; after it returns,
   * the caller must not use it any more.
   *
   * <p>From Python: the address is that of {@code PyCapsule_GetPointer(capsule,
   * "dltensor_versioned")} of {@code tensor.detach().__dlpack__(max_version=(1, 0))}; rename the
   * capsule to {@code used_dltensor_versioned} afterwards, or both free it.
   *
   * <p>Whoever writes to the memory changes the tensor; all but views copies what it needs. On a
   * GPU the elements must be ready for the {@linkplain CudaStream stream} that is current for this
   * thread, and {@link Device#synchronize()} must come before the arena closes. bool counts as
   * UINT8.
   *
   * @param managed the address; of memory that Java cannot check
   * @throws IllegalArgumentException if {@code managed} is NULL or not in native memory
   * @throws BsqException with code {@link BsqException.Code#INVALID_ARGUMENT} or {@link
   *     BsqException.Code#UNSUPPORTED} for another version, a device other than the CPU and CUDA,
   *     an element type that {@link DType} does not have, a scalar, negative strides or misaligned
   *     data
   */
  public static Tensor fromDlpack(Arena arena, MemorySegment managed) {
    requireNonNull(arena, "arena");
    requireNonNull(managed, "managed");
    if (!managed.isNative() || managed.address() == 0) {
      throw new IllegalArgumentException(
          "managed is "
              + (managed.isNative() ? "NULL" : "an array on Java's heap")
              + ", expected the address of a DLManagedTensorVersioned");
    }
    NativeTensors.Taken taken = NativeTensors.fromDlpack(arena, managed);
    return new Tensor(arena, taken.handle(), taken.info(), false);
  }

  private static long byteSize(DType dtype, long[] shape) {
    requireNonNull(dtype, "dtype");
    requireNonNull(shape, "shape");
    return TensorShapes.elementCount(shape, dtype) * dtype.byteSize();
  }

  // What a tensor is. These also work when it is closed.

  /** The type of the elements. */
  public DType dtype() {
    return dtype;
  }

  /** Where the elements are. */
  public Device device() {
    return device;
  }

  /** The number of dimensions, at least 1. */
  public int rank() {
    return shape.length;
  }

  /** The number of elements along each dimension: a new array. */
  public long[] shape() {
    return shape.clone();
  }

  /** How many elements lie between neighbours along each dimension: a new array. */
  public long[] strides() {
    return strides.clone();
  }

  /** The number of elements. */
  public long size() {
    return TensorShapes.size(shape);
  }

  /** Whether the elements lie in row-major order, without gaps. */
  public boolean isContiguous() {
    return TensorShapes.isContiguous(shape, strides);
  }

  /** Type, shape and device. Never fails. */
  @Override
  public String toString() {
    return "Tensor[" + description() + "]";
  }

  String description() {
    return dtype + ", " + Arrays.toString(shape) + ", " + device;
  }

  // Conversions and views

  /**
   * This tensor on the device, contiguous. It shares memory with this one where nothing changes,
   * unless that is borrowed, and lives on its own all the same.
   */
  public Tensor to(Arena arena, Device device) {
    requireNonNull(device, "device");
    return new Tensor(arena, NativeTensors.to(arena, handle, dtype, device));
  }

  /**
   * This tensor on the device, contiguous, without waiting for a copy between the CPU and a GPU.
   *
   * <p>To a GPU: a {@linkplain #pinned pinned} tensor is read after this method returns, and must
   * not be written to before {@link Device#synchronize()} of the GPU on this thread; of others it
   * is read at once. To the CPU: nothing may use the new tensor before {@link Device#synchronize()}
   * of the GPU on this thread, its elements are not there yet. Either may be closed before, but for
   * page-locked memory of other libraries, which must stay until then.
   */
  public Tensor toAsync(Arena arena, Device device) {
    requireNonNull(device, "device");
    return new Tensor(arena, NativeTensors.toAsync(arena, handle, device));
  }

  /**
   * This tensor for another native library, without a copy: memory, shape and strides as they are,
   * read-only. Of {@linkplain #borrow borrowed} memory, which may end first, it is a copy. Nothing
   * waits or checks: call {@link #check()}, and on a GPU {@link Device#synchronize()}, before
   * others read it.
   *
   * @param arena frees what is made, unless {@link DlpackTensor#give} passes it on before
   */
  public DlpackTensor toDlpack(Arena arena) {
    return DlpackTensor.of(arena, handle);
  }

  /**
   * This tensor with elements of the type, contiguous; numbers are converted as PyTorch does. It
   * shares memory with this one where nothing changes, unless that is borrowed, and lives on its
   * own all the same.
   */
  public Tensor to(Arena arena, DType dtype) {
    requireNonNull(dtype, "dtype");
    return new Tensor(arena, NativeTensors.to(arena, handle, dtype, device));
  }

  /**
   * A view with the dimensions in another order, in this tensor's memory and arena.
   *
   * @param dimensions dimension i of the view is this tensor's {@code dimensions[i]}
   * @throws IllegalArgumentException if they are not all of this tensor's, each once
   */
  public Tensor permute(int... dimensions) {
    requireNonNull(dimensions, "dimensions");
    int[] sorted = dimensions.clone();
    Arrays.sort(sorted);
    for (int i = 0; i < Math.max(sorted.length, rank()); i++) {
      if (sorted.length != rank() || sorted[i] != i) {
        throw new IllegalArgumentException(
            "dimensions is %s, expected each of 0 to %d once"
                .formatted(Arrays.toString(dimensions), rank() - 1));
      }
    }
    long[] order = Arrays.stream(dimensions).asLongStream().toArray();
    return new Tensor(arena, NativeTensors.permute(arena, handle, order));
  }

  /**
   * A view of {@code length} elements along one dimension, from {@code start} on, in this tensor's
   * memory and arena.
   *
   * @throws IndexOutOfBoundsException if there is no such dimension, or it is too short
   */
  public Tensor narrow(int dimension, long start, long length) {
    if (dimension < 0 || dimension >= rank()) {
      throw new IndexOutOfBoundsException(
          "dimension is %d, expected 0 to %d".formatted(dimension, rank() - 1));
    }
    if (start < 0 || length < 0 || start > shape[dimension] - length) {
      throw new IndexOutOfBoundsException(
          "start is %d and length %d, but dimension %d has %d elements"
              .formatted(start, length, dimension, shape[dimension]));
    }
    return new Tensor(arena, NativeTensors.narrow(arena, handle, dimension, start, length));
  }

  // Reading. All of these wait for the device.

  /**
   * All elements in row-major order, exactly: FLOAT32, FLOAT16, BFLOAT16 or UINT8.
   *
   * @throws IllegalStateException if the type is another, or there are more than an array holds
   */
  public float[] toFloatArray() {
    float[] array = new float[arrayLength("toFloatArray", DType.FLOAT32)];
    read(DType.FLOAT32, MemorySegment.ofArray(array));
    return array;
  }

  /**
   * All elements in row-major order, exactly: any type but INT64.
   *
   * @throws IllegalStateException if the type is that, or there are more than an array holds
   */
  public double[] toDoubleArray() {
    double[] array = new double[arrayLength("toDoubleArray", DType.FLOAT64)];
    read(DType.FLOAT64, MemorySegment.ofArray(array));
    return array;
  }

  /**
   * All elements in row-major order: INT64, INT32 or UINT8.
   *
   * @throws IllegalStateException if the type is another, or there are more than an array holds
   */
  public long[] toLongArray() {
    long[] array = new long[arrayLength("toLongArray", DType.INT64)];
    read(DType.INT64, MemorySegment.ofArray(array));
    return array;
  }

  /**
   * All elements in row-major order: INT32 or UINT8.
   *
   * @throws IllegalStateException if the type is another, or there are more than an array holds
   */
  public int[] toIntArray() {
    int[] array = new int[arrayLength("toIntArray", DType.INT32)];
    read(DType.INT32, MemorySegment.ofArray(array));
    return array;
  }

  /**
   * All elements in row-major order: UINT8, whose numbers above 127 come out as negative bytes.
   *
   * @throws IllegalStateException if the type is another, or there are more than an array holds
   */
  public byte[] toByteArray() {
    byte[] array = new byte[arrayLength("toByteArray", DType.UINT8)];
    read(DType.UINT8, MemorySegment.ofArray(array));
    return array;
  }

  private int arrayLength(String method, DType elements) {
    if (!dtype.fitsInto(elements)) {
      throw new IllegalStateException(
          "the tensor is %s; %s would lose digits: use to(arena, DType.%s) first"
              .formatted(dtype, method, elements));
    }
    long size = size();
    if (size > Integer.MAX_VALUE - 8) { // what JVMs allow
      throw new IllegalStateException(
          "the tensor has %d elements, more than an array holds: use asSegment".formatted(size));
    }
    return (int) size;
  }

  private void read(DType elements, MemorySegment array) {
    if (dtype == elements && device.equals(Device.CPU) && isContiguous()) {
      array.copyFrom(asSegment());
    } else {
      NativeTensors.read(handle, elements, array);
    }
  }

  /**
   * The elements themselves, in row-major order, read-only, without a copy. The segment lives in
   * this tensor's arena, and keeps it alive as any segment does.
   *
   * @throws IllegalStateException if the tensor is on another device than the CPU, or not
   *     contiguous
   */
  public MemorySegment asSegment() {
    if (!device.equals(Device.CPU)) {
      throw new IllegalStateException(
          "the tensor is on " + device + ", out of Java's reach: use to(arena, Device.CPU) first");
    }
    if (!isContiguous()) {
      throw new IllegalStateException(
          "the tensor has shape %s and strides %s, which are not contiguous: use to(arena, DType.%s)"
                  .formatted(Arrays.toString(shape), Arrays.toString(strides), dtype)
              + " first");
    }
    check();
    return memory().asReadOnly();
  }

  /**
   * The elements of a tensor that {@link #pinned} made, writable, in row-major order. The segment
   * lives in this tensor's arena. Write to it whenever no call uses the tensor, and no copy of
   * {@link #toAsync} is under way: results that were computed before stay as they are.
   *
   * @throws IllegalStateException if the tensor is not one that {@link #pinned} made: others never
   *     change
   */
  public MemorySegment writableSegment() {
    if (!writable) {
      throw new IllegalStateException(
          "the tensor is not one that Tensor.pinned made, and others never change");
    }
    return memory();
  }

  /**
   * The address of the first element in its device's memory, for other native libraries: a segment
   * of zero length in this tensor's arena. This method neither waits nor checks: who reads there
   * calls {@link #check()} before, and on a GPU reads in the order of the {@linkplain CudaStream
   * stream} that the elements may still be computed in. Nobody may write there, except to fill a
   * tensor that {@link #empty} made, before its first use.
   */
  public MemorySegment pointer() {
    return NativeTensors.data(handle).reinterpret(arena, null);
  }

  /**
   * Makes sure that the elements are not computed from values that are refused. Waits for the
   * device where that takes waiting to find out.
   *
   * @throws BsqException if they come from values that are refused; the message has the value, and
   *     its position in a matrix of rows, in which all leading dimensions count as one
   */
  public void check() {
    NativeTensors.check(handle);
  }

  /** The elements, writable. Only for a contiguous tensor on the CPU. */
  private MemorySegment memory() {
    return NativeTensors.data(handle).reinterpret(size() * dtype.byteSize(), arena, null);
  }

  /** For native calls: bound to the tensor's arena. */
  MemorySegment handle() {
    return handle;
  }
}
