package io.github.bsq4j.parity;

import io.github.bsq4j.device.TestDevice;
import io.github.bsq4j.parity.StridedPath.Layout;
import java.util.ArrayList;
import java.util.List;

/** The paths that the suites run over: host memory, and tensors on the tests' device. */
final class Paths {
  private Paths() {}

  static List<QuantizerPath> all() {
    List<QuantizerPath> paths = new ArrayList<>();
    paths.add(QuantizerPath.HOST);
    TestDevice.implementations().forEach(with -> paths.add(TestDevice.path(with)));
    return paths;
  }

  static List<QuantizerPath> strided() {
    List<QuantizerPath> paths = new ArrayList<>();
    for (QuantizerPath path : all()) {
      if (path instanceof TensorPath tensors) {
        for (Layout layout : Layout.values()) {
          if (layout == Layout.VIEW || TestDevice.isCpu()) {
            paths.add(new StridedPath(tensors, layout));
          }
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
