package io.github.bsq4j.parity;

import io.github.bsq4j.parity.StridedPath.Layout;
import java.util.ArrayList;
import java.util.List;

/** The paths that the suites run over. */
final class Paths {
  private Paths() {}

  static List<QuantizerPath> all() {
    return List.of(QuantizerPath.HOST, QuantizerPath.TENSOR, QuantizerPath.OPERATORS);
  }

  static List<QuantizerPath> strided() {
    List<QuantizerPath> paths = new ArrayList<>();
    for (QuantizerPath path : all()) {
      if (path instanceof TensorPath tensors) {
        for (Layout layout : Layout.values()) {
          paths.add(new StridedPath(tensors, layout));
        }
      }
    }
    return paths;
  }

  static List<QuantizerPath> allAndStrided() {
    List<QuantizerPath> paths = new ArrayList<>(all());
    paths.addAll(strided());
    return paths;
  }
}
