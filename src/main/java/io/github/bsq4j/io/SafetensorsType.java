package io.github.bsq4j.io;

/** The element types of {@code .safetensors} files that this package reads. */
public enum SafetensorsType {
  BOOL(1),
  U8(1),
  I8(1),
  U16(2),
  I16(2),
  F16(2),
  BF16(2),
  U32(4),
  I32(4),
  F32(4),
  U64(8),
  I64(8),
  F64(8);

  private final int itemSize;

  SafetensorsType(int itemSize) {
    this.itemSize = itemSize;
  }

  /** The number of bytes of one element. */
  public int itemSize() {
    return itemSize;
  }
}
