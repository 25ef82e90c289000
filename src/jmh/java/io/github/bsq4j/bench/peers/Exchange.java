package io.github.bsq4j.bench.peers;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A file that all peers take the same numbers from: the problem's vectors and, written by this
 * library, the answer to them. All is big-endian, as Java's data streams have it:
 *
 * <pre>
 * float32 [rows, codeDim]  x
 * float32 [rows, codeDim]  gradQuantized
 * int64   [rows]           indices
 * float64                  auxLoss
 * float32 [rows, codeDim]  gradX
 * </pre>
 *
 * @param problem what was asked
 * @param answer what this library answered
 */
record Exchange(Problem problem, Answer answer) {
  void write(Path file) throws IOException {
    try (DataOutputStream out =
        new DataOutputStream(new BufferedOutputStream(Files.newOutputStream(file)))) {
      write(out, problem.x());
      write(out, problem.gradQuantized());
      for (long index : answer.indices()) {
        out.writeLong(index);
      }
      out.writeDouble(answer.auxLoss());
      write(out, answer.gradX());
    }
  }

  private static void write(DataOutputStream out, float[] values) throws IOException {
    for (float value : values) {
      out.writeFloat(value);
    }
  }

  static Exchange read(Path file, int codeDim, int rows, double inverseTemperature, int threads)
      throws IOException {
    try (DataInputStream in =
        new DataInputStream(new BufferedInputStream(Files.newInputStream(file)))) {
      float[] x = readFloats(in, rows * codeDim);
      float[] gradQuantized = readFloats(in, rows * codeDim);
      long[] indices = new long[rows];
      for (int i = 0; i < rows; i++) {
        indices[i] = in.readLong();
      }
      double auxLoss = in.readDouble();
      float[] gradX = readFloats(in, rows * codeDim);
      return new Exchange(
          new Problem(codeDim, inverseTemperature, threads, x, gradQuantized),
          new Answer(indices, auxLoss, gradX));
    }
  }

  private static float[] readFloats(DataInputStream in, int count) throws IOException {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = in.readFloat();
    }
    return values;
  }
}
