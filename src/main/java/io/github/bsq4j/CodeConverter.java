package io.github.bsq4j;

import static java.util.Objects.requireNonNull;

import io.github.bsq4j.internal.HostBuffers;
import io.github.bsq4j.internal.NativeCalls;
import io.github.bsq4j.internal.NativeTensors;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Converts codes between layouts and conventions: indices to packed bytes, those of numpy to those
 * of faiss, and so on, by integer arithmetic alone. Nothing is lost: converting back gives what was
 * there. Of the options only {@code codeDim} and {@code codebooks}, which must be the same, {@code
 * groupSize} (of indices) and the {@link Convention}'s bit order and byte form matter.
 *
 * <p>Elements that no code has are refused with their position and value, by a {@link
 * BsqException}: indices of 2<sup>groupSize</sup> or more, bits beyond the last component that are
 * not 0, and {@link CodeLayout#BITS} other than 0 and 1.
 *
 * <p>Immutable, and safe to be shared by all threads. Arguments are checked as those of {@link
 * BinarySphericalQuantizer} are.
 */
public final class CodeConverter {
  private final QuantizerOptions fromOptions;
  private final CodeLayout fromLayout;
  private final QuantizerOptions toOptions;
  private final CodeLayout toLayout;
  private final QuantizerShapes fromShapes;
  private final MemorySegment nativeFrom;
  private final MemorySegment nativeTo;

  private CodeConverter(
      QuantizerOptions fromOptions,
      CodeLayout fromLayout,
      QuantizerOptions toOptions,
      CodeLayout toLayout) {
    this.fromOptions = fromOptions;
    this.fromLayout = fromLayout;
    this.toOptions = toOptions;
    this.toLayout = toLayout;
    this.fromShapes = new QuantizerShapes(fromOptions);
    this.nativeFrom = NativeCalls.options(fromOptions);
    this.nativeTo = NativeCalls.options(toOptions);
  }

  /**
   * A converter.
   *
   * @throws IllegalArgumentException if the options are of other codes, or codes have no indices
   * @throws BsqException if the native library cannot be loaded
   */
  public static CodeConverter create(
      QuantizerOptions fromOptions,
      CodeLayout fromLayout,
      QuantizerOptions toOptions,
      CodeLayout toLayout) {
    requireLayout(
        requireNonNull(fromOptions, "fromOptions"), requireNonNull(fromLayout, "fromLayout"));
    requireLayout(requireNonNull(toOptions, "toOptions"), requireNonNull(toLayout, "toLayout"));
    if (fromOptions.codeDim() != toOptions.codeDim()
        || fromOptions.codebooks() != toOptions.codebooks()) {
      throw new IllegalArgumentException(
          "toOptions have codeDim %d and codebooks %d, expected %d and %d as fromOptions have"
              .formatted(
                  toOptions.codeDim(),
                  toOptions.codebooks(),
                  fromOptions.codeDim(),
                  fromOptions.codebooks()));
    }
    return new CodeConverter(fromOptions, fromLayout, toOptions, toLayout);
  }

  private static void requireLayout(QuantizerOptions options, CodeLayout layout) {
    if (layout == CodeLayout.INDICES) {
      options.requireIndices();
    }
  }

  /**
   * Converts the codes of some rows.
   *
   * @param codes {@code [rows, elementsPerRow]} of the first layout
   * @param codesOut {@code [rows, elementsPerRow]} of the second
   */
  public void convert(MemorySegment codes, long rows, MemorySegment codesOut) {
    long inBytes = codeBytes(fromOptions, fromLayout, rows);
    long outBytes = codeBytes(toOptions, toLayout, rows);
    boolean direct =
        HostBuffers.isDirect(codes, fromLayout.elementLayout())
            && HostBuffers.isDirect(codesOut, toLayout.elementLayout());
    try (HostBuffers buffers = HostBuffers.open(direct)) {
      MemorySegment in = buffers.input("codes", codes, inBytes, fromLayout.elementLayout());
      MemorySegment out = buffers.output("codesOut", codesOut, outBytes, toLayout.elementLayout());
      HostBuffers.requireApart("codesOut", codesOut, outBytes, "codes", codes, inBytes);
      NativeCalls.convert(nativeFrom, fromLayout, nativeTo, toLayout, rows, in, out);
      buffers.copyBack();
    }
  }

  /** Converts bytes to bytes. */
  public byte[] toBytes(byte[] codes) {
    return toBytes(MemorySegment.ofArray(requireNonNull(codes, "codes")), codes.length);
  }

  /** Converts indices or words to bytes. */
  public byte[] toBytes(long[] codes) {
    return toBytes(MemorySegment.ofArray(requireNonNull(codes, "codes")), codes.length);
  }

  /** Converts bytes to indices or words. */
  public long[] toLongs(byte[] codes) {
    return toLongs(MemorySegment.ofArray(requireNonNull(codes, "codes")), codes.length);
  }

  /** Converts indices or words to indices or words. */
  public long[] toLongs(long[] codes) {
    return toLongs(MemorySegment.ofArray(requireNonNull(codes, "codes")), codes.length);
  }

  private byte[] toBytes(MemorySegment codes, int length) {
    long rows = rows(length);
    byte[] result = new byte[arrayLength(rows)];
    convert(codes, rows, MemorySegment.ofArray(result));
    return result;
  }

  private long[] toLongs(MemorySegment codes, int length) {
    long rows = rows(length);
    long[] result = new long[arrayLength(rows)];
    convert(codes, rows, MemorySegment.ofArray(result));
    return result;
  }

  private long rows(int length) {
    int elements = fromLayout.elementsPerRow(fromOptions);
    if (length % elements != 0) {
      throw new IllegalArgumentException(
          "codes has %d elements, which are no whole rows of %d (%s of codeDim %d, codebooks %d)"
              .formatted(
                  length, elements, fromLayout, fromOptions.codeDim(), fromOptions.codebooks()));
    }
    return length / elements;
  }

  private int arrayLength(long rows) {
    return QuantizerShapes.arrayLength(rows, toLayout.elementsPerRow(toOptions));
  }

  /**
   * Converts a tensor of codes, {@code [..., codebooks, elements]} without the first where it is 1,
   * and, of indices, without the second.
   *
   * @param arena where the result lives
   * @param codes of the first layout's type
   * @return of the second layout's, with the same leading dimensions
   */
  public Tensor convert(Arena arena, Tensor codes) {
    fromShapes.requireCodes("codes", codes, fromLayout);
    return new Tensor(
        arena,
        NativeTensors.convert(arena, nativeFrom, fromLayout, nativeTo, toLayout, codes.handle()));
  }

  private static long codeBytes(QuantizerOptions options, CodeLayout layout, long rows) {
    return HostBuffers.byteSize(
        rows, layout.elementsPerRow(options), layout.elementLayout().byteSize());
  }

  @Override
  public String toString() {
    return "CodeConverter[%s of %s to %s of %s]"
        .formatted(fromLayout, fromOptions, toLayout, toOptions);
  }
}
