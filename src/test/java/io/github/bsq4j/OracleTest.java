package io.github.bsq4j;

import io.github.bsq4j.device.OnDevice;
import io.github.bsq4j.device.TestDevice;
import io.github.bsq4j.parity.QuantizerPath;
import net.jqwik.api.Group;

/** {@link OracleComparison} on every path. */
@OnDevice
@SuppressWarnings("ClassCanBeStatic") // jqwik wants inner classes
class OracleTest {
  @Group
  class Host extends OracleComparison {
    Host() {
      super(QuantizerPath.HOST);
    }
  }

  @Group
  @OnDevice(kernels = true)
  class Tensors extends OracleComparison {
    Tensors() {
      super(TestDevice.path(Implementation.KERNELS));
    }
  }

  @Group
  class Operators extends OracleComparison {
    Operators() {
      super(TestDevice.path(Implementation.OPERATORS));
    }
  }
}
